"""Who plays in the sample province: hosts, people and addresses, all invented (RFC 5737, RFC 3849, .example)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta, timezone
from typing import Final

LOCAL: Final = timezone(timedelta(hours=7), "Asia/Ho_Chi_Minh")
DOMAIN: Final = "tinh.example"

# Units: real uids of Tuyên Quang after 2025-07-01; everything else here is invented.
TINH: Final = "vn:tinh:08@2025-07-01"
MINH_XUAN: Final = "vn:xa:02215@2025-07-01"
YEN_SON: Final = "vn:xa:02473@2025-07-01"
HONG_SON: Final = "vn:xa:02608@2025-07-01"
MY_LAM: Final = "vn:xa:02509@2025-07-01"


@dataclass(frozen=True, slots=True)
class Host:
    """A machine: short name, address, its user (account, full name) and NT domain."""

    name: str
    ip: str
    unit: str
    user: str = ""
    full_name: str = ""

    @property
    def fqdn(self) -> str:
        return f"{self.name}.{DOMAIN}"


FIREWALL: Final = Host("ttdl-fw01", "192.0.2.1", TINH)
SENSOR: Final = Host("ttdl-ids01", "192.0.2.2", TINH)
ANTIVIRUS: Final = Host("ttdl-av01", "192.0.2.12", TINH)
PORTAL: Final = Host("cong-dvc01", "192.0.2.10", TINH, "quantri", "Lê Thị Mẫu")
DIRECTORY: Final = Host("ttdl-ad01", "192.0.2.11", TINH, "lt.mau", "Lê Thị Mẫu")
FILES: Final = Host("mx-fs01", "192.0.2.40", MINH_XUAN, "nt.vidu", "Nguyễn Thị Ví Dụ")
CLERK: Final = Host("mx-pc01", "192.0.2.41", MINH_XUAN, "nt.vidu", "Nguyễn Thị Ví Dụ")
LAND: Final = Host("mx-pc02", "192.0.2.42", MINH_XUAN, "dv.vidu", "Đỗ Văn Ví Dụ")
ONE_STOP: Final = Host("ys-motcua", "192.0.2.70", YEN_SON, "motcua", "Trần Văn Ví Dụ")
COUNTER: Final = Host("ys-pc01", "192.0.2.71", YEN_SON, "tv.vidu", "Trần Văn Ví Dụ")
COMMUNE_WEB: Final = Host("hs-web01", "192.0.2.100", HONG_SON, "pt.vidu", "Phạm Thị Ví Dụ")
HOSPITAL: Final = Host("ml-his01", "192.0.2.140", MY_LAM, "vd.vidu", "Vũ Đức Ví Dụ")
RECEPTION: Final = Host("ml-pc01", "192.0.2.141", MY_LAM, "bt.vidu", "Bùi Thị Ví Dụ")
CAMERAS: Final = Host("ml-cam01", "192.0.2.150", MY_LAM)

INSIDE: Final = (FILES, CLERK, LAND, ONE_STOP, COUNTER, COMMUNE_WEB, HOSPITAL, RECEPTION, DIRECTORY, PORTAL)
WORKSTATIONS: Final = (CLERK, LAND, COUNTER, RECEPTION)

#: From where the administrators come.
ADMIN_IP: Final = "192.0.2.20"

#: The outside world: citizens (198.51.100.0/24 and 2001:db8:ffff::/48) and attackers (203.0.113.0/24).
BRUTE_FORCER: Final = "203.0.113.45"
SCANNER: Final = "203.0.113.77"
COMMAND_SERVER: Final = "203.0.113.120"
BOT_MASTER: Final = "203.0.113.200"

BROWSERS: Final = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Linux; Android 15; SM-A556E) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile "
    "Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 "
    "Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:144.0) Gecko/20100101 Firefox/144.0",
)
ROBOT: Final = "Mozilla/5.0 (compatible; ExampleBot/2.1; +https://bot.example/about)"

PORTAL_PAGES: Final = (
    "/",
    "/trang-chu",
    "/thu-tuc-hanh-chinh",
    "/thu-tuc-hanh-chinh?linh-vuc=ho-tich",
    "/tra-cuu-ho-so",
    "/tra-cuu-ho-so?ma=H60.94-261120-0012",
    "/nop-ho-so-truc-tuyen",
    "/tim-kiem?q=%C4%91%C4%83ng%20k%C3%BD%20khai%20sinh",
    "/tim-kiem?q=c%E1%BA%A5p%20l%E1%BA%A1i%20s%E1%BB%95%20%C4%91%E1%BB%8F",
    "/phan-anh-hien-truong",
    "/huong-dan",
    "/assets/app.css",
    "/assets/app.js",
    "/assets/logo.svg",
    "/api/v1/ho-so/trang-thai?ma=261120-0044",
    "/favicon.ico",
)
COMMUNE_PAGES: Final = (
    "/",
    "/tin-tuc",
    "/tin-tuc/lich-tiep-cong-dan-thang-11",
    "/van-ban",
    "/van-ban/tai-ve/K%E1%BA%BF%20ho%E1%BA%A1ch%20chuy%E1%BB%83n%20%C4%91%E1%BB%95i%20s%E1%BB%91.pdf",
    "/lien-he",
    "/static/site.css",
    "/static/site.js",
)
DOCUMENTS: Final = (
    "Báo cáo tháng 11.docx",
    "Kế hoạch chuyển đổi số.xlsx",
    "Tờ trình kinh phí.docx",
    "Lịch công tác tuần.docx",
    "Danh sách cấp đổi giấy chứng nhận.xlsx",
)
SITES: Final = (
    "www.example",
    "mail.example",
    "vanban.tinh.example",
    "update.example",
    "ntp.example",
    "hop.tinh.example",
)
