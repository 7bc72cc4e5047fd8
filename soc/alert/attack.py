"""ATT&CK: a rule's `attack.*` tags in, ECS `threat.*` fields out.

Tactic ids are those of https://attack.mitre.org/tactics/enterprise/. ATT&CK v19 split Defense Evasion into Stealth and
Defense Impairment; rules carry either vocabulary. The two new names get no id until one can be cited.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from soc.event import Fields

FRAMEWORK: Final = "MITRE ATT&CK"

#: Tag name → (tactic id, tactic name, Vietnamese name).
TACTICS: Final[dict[str, tuple[str, str, str]]] = {
    "reconnaissance": ("TA0043", "Reconnaissance", "Trinh sát"),
    "resource-development": ("TA0042", "Resource Development", "Chuẩn bị nguồn lực"),
    "initial-access": ("TA0001", "Initial Access", "Xâm nhập ban đầu"),
    "execution": ("TA0002", "Execution", "Thực thi"),
    "persistence": ("TA0003", "Persistence", "Duy trì hiện diện"),
    "privilege-escalation": ("TA0004", "Privilege Escalation", "Leo thang đặc quyền"),
    "defense-evasion": ("TA0005", "Defense Evasion", "Né tránh phòng thủ"),
    "stealth": ("", "Stealth", "Ẩn mình"),
    "defense-impairment": ("", "Defense Impairment", "Vô hiệu hóa phòng thủ"),
    "credential-access": ("TA0006", "Credential Access", "Đánh cắp thông tin xác thực"),
    "discovery": ("TA0007", "Discovery", "Dò tìm"),
    "lateral-movement": ("TA0008", "Lateral Movement", "Lây lan ngang"),
    "collection": ("TA0009", "Collection", "Thu thập dữ liệu"),
    "command-and-control": ("TA0011", "Command and Control", "Điều khiển từ xa"),
    "exfiltration": ("TA0010", "Exfiltration", "Rò rỉ, trích xuất dữ liệu"),
    "impact": ("TA0040", "Impact", "Gây tác động"),
}

_TECHNIQUE = re.compile(r"attack\.(t\d{4})(\.\d{3})?", re.IGNORECASE)


def threat(tags: Iterable[str]) -> Fields:
    """`threat.framework`, `threat.tactic.{id,name}`, `threat.technique.id`, `threat.technique.subtechnique.id`.

    {} when no tag names a tactic or technique; lists are ordered and hold each value once.
    """
    ids: list[str] = []
    names: list[str] = []
    techniques: list[str] = []
    subtechniques: list[str] = []
    for tag in tags:
        text = tag.lower().replace("_", "-")
        if (tactic := TACTICS.get(text.removeprefix("attack."))) is not None:
            ids += [tactic[0]] if tactic[0] else []
            names.append(tactic[1])
        elif found := _TECHNIQUE.fullmatch(text):
            techniques.append(found[1].upper())
            if found[2]:
                subtechniques.append((found[1] + found[2]).upper())
    lists = {
        "threat.tactic.id": ids,
        "threat.tactic.name": names,
        "threat.technique.id": techniques,
        "threat.technique.subtechnique.id": subtechniques,
    }
    fields: Fields = {name: list(dict.fromkeys(values)) for name, values in lists.items() if values}
    return {"threat.framework": FRAMEWORK, **fields} if fields else {}
