"""Windows event data that come as bare values in order (StringInserts, Properties) → their names.

Fluent Bit and Get-WinEvent keep the values and drop the names. The order is that of the event's template, which only
grows at its end from version to version: each event's page at Microsoft shows it in its XML
(https://learn.microsoft.com/previous-versions/windows/it-pro/windows-10/security/threat-protection/auditing/event-4624).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_SUBJECT: Final = "SubjectUserSid SubjectUserName SubjectDomainName SubjectLogonId"
_ACCOUNT: Final = f"TargetUserName TargetDomainName TargetSid {_SUBJECT}"
_PROFILE: Final = (
    "PrivilegeList SamAccountName DisplayName UserPrincipalName HomeDirectory HomePath ScriptPath ProfilePath"
    " UserWorkstations PasswordLastSet AccountExpires PrimaryGroupId AllowedToDelegateTo OldUacValue NewUacValue"
    " UserAccountControl UserParameters SidHistory LogonHours"
)
_MEMBER: Final = f"MemberName MemberSid {_ACCOUNT} PrivilegeList"
_GROUP: Final = f"{_ACCOUNT} PrivilegeList SamAccountName SidHistory"
_SIGNED_OUT: Final = "TargetUserSid TargetUserName TargetDomainName TargetLogonId"
_OBJECT: Final = f"{_SUBJECT} ObjectServer ObjectType ObjectName"
_SHARE: Final = f"{_SUBJECT} ObjectType IpAddress IpPort ShareName ShareLocalPath"

_SECURITY: Final[Mapping[int, str]] = {
    4624: f"{_SUBJECT} {_SIGNED_OUT} LogonType LogonProcessName AuthenticationPackageName WorkstationName LogonGuid"
    " TransmittedServices LmPackageName KeyLength ProcessId ProcessName IpAddress IpPort ImpersonationLevel",
    4625: f"{_SUBJECT} TargetUserSid TargetUserName TargetDomainName Status FailureReason SubStatus LogonType"
    " LogonProcessName AuthenticationPackageName WorkstationName TransmittedServices LmPackageName KeyLength ProcessId"
    " ProcessName IpAddress IpPort",
    4634: f"{_SIGNED_OUT} LogonType",
    4647: _SIGNED_OUT,
    4648: f"{_SUBJECT} LogonGuid TargetUserName TargetDomainName TargetLogonGuid TargetServerName TargetInfo ProcessId"
    " ProcessName IpAddress IpPort",
    4656: f"{_OBJECT} HandleId TransactionId AccessList AccessReason AccessMask PrivilegeList RestrictedSidCount"
    " ProcessId ProcessName ResourceAttributes",
    4661: f"{_OBJECT} HandleId TransactionId AccessList AccessReason AccessMask PrivilegeList Properties"
    " RestrictedSidCount ProcessId ProcessName",
    4662: f"{_OBJECT} OperationType HandleId AccessList AccessMask Properties AdditionalInfo AdditionalInfo2",
    4672: f"{_SUBJECT} PrivilegeList",
    4673: f"{_SUBJECT} ObjectServer Service PrivilegeList ProcessId ProcessName",
    4674: f"{_OBJECT} HandleId AccessMask PrivilegeList ProcessId ProcessName",
    4688: f"{_SUBJECT} NewProcessId NewProcessName TokenElevationType ProcessId CommandLine {_SIGNED_OUT}"
    " ParentProcessName MandatoryLabel",
    4697: f"{_SUBJECT} ServiceName ServiceFileName ServiceType ServiceStartType ServiceAccount",
    4698: f"{_SUBJECT} TaskName TaskContent",
    4699: f"{_SUBJECT} TaskName TaskContent",
    4701: f"{_SUBJECT} TaskName TaskContent",
    4720: f"{_ACCOUNT} {_PROFILE}",
    4722: _ACCOUNT,
    4723: f"{_ACCOUNT} PrivilegeList",
    4724: _ACCOUNT,
    4726: f"{_ACCOUNT} PrivilegeList",
    4728: _MEMBER,
    4729: _MEMBER,
    4731: _GROUP,
    4732: _MEMBER,
    4733: _MEMBER,
    4735: _GROUP,
    4738: f"Dummy {_ACCOUNT} {_PROFILE}",
    4741: f"{_ACCOUNT} {_PROFILE} DnsHostName ServicePrincipalNames",
    4742: f"ComputerAccountChange {_ACCOUNT} {_PROFILE} DnsHostName ServicePrincipalNames",
    4743: f"{_ACCOUNT} PrivilegeList",
    4756: _MEMBER,
    4768: "TargetUserName TargetDomainName TargetSid ServiceName ServiceSid TicketOptions Status TicketEncryptionType"
    " PreAuthType IpAddress IpPort CertIssuerName CertSerialNumber CertThumbprint",
    4769: "TargetUserName TargetDomainName ServiceName ServiceSid TicketOptions TicketEncryptionType IpAddress IpPort"
    " Status LogonGuid TransmittedServices",
    4776: "PackageName TargetUserName Workstation Status",
    4781: f"OldTargetUserName NewTargetUserName TargetDomainName TargetSid {_SUBJECT} PrivilegeList",
    5136: f"OpCorrelationID AppCorrelationID {_SUBJECT} DSName DSType ObjectDN ObjectGUID ObjectClass"
    " AttributeLDAPDisplayName AttributeSyntaxOID AttributeValue OperationType",
    5140: f"{_SHARE} AccessMask AccessList",
    5142: f"{_SUBJECT} ShareName ShareLocalPath",
    5145: f"{_SHARE} RelativeTargetName AccessMask AccessList AccessReason",
}

#: (provider in lower case, event id) → names in order.
NAMES: Final[Mapping[tuple[str, int], tuple[str, ...]]] = {
    **{("microsoft-windows-security-auditing", number): tuple(names.split()) for number, names in _SECURITY.items()},
    ("microsoft-windows-eventlog", 1102): tuple(_SUBJECT.split()),
    ("service control manager", 7045): ("ServiceName", "ImagePath", "ServiceType", "StartType", "AccountName"),
}
