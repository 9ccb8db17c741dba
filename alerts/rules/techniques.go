package rules

import "kmswatch/alerts"

// Techniques of MITRE ATT&CK that several rules name.
var (
	adversaryInTheMiddle    = alerts.Technique{ID: "T1557", Name: "Adversary-in-the-Middle", TacticID: "TA0006", Tactic: "Credential Access"}
	domainAccountDiscovery  = alerts.Technique{ID: "T1087.002", Name: "Domain Account", TacticID: "TA0007", Tactic: "Discovery"}
	domainGroupDiscovery    = alerts.Technique{ID: "T1069.002", Name: "Domain Groups", TacticID: "TA0007", Tactic: "Discovery"}
	exploitRemoteService    = alerts.Technique{ID: "T1210", Name: "Exploitation of Remote Services", TacticID: "TA0008", Tactic: "Lateral Movement"}
	forcedAuthentication    = alerts.Technique{ID: "T1187", Name: "Forced Authentication", TacticID: "TA0006", Tactic: "Credential Access"}
	networkServiceDiscovery = alerts.Technique{ID: "T1046", Name: "Network Service Discovery", TacticID: "TA0007", Tactic: "Discovery"}
	networkShareDiscovery   = alerts.Technique{ID: "T1135", Name: "Network Share Discovery", TacticID: "TA0007", Tactic: "Discovery"}
	nonStandardPort         = alerts.Technique{ID: "T1571", Name: "Non-Standard Port", TacticID: "TA0011", Tactic: "Command and Control"}
	remoteSystemDiscovery   = alerts.Technique{ID: "T1018", Name: "Remote System Discovery", TacticID: "TA0007", Tactic: "Discovery"}
	smbAdminShares          = alerts.Technique{ID: "T1021.002", Name: "SMB/Windows Admin Shares", TacticID: "TA0008", Tactic: "Lateral Movement"}
)
