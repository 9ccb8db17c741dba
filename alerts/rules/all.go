// Package rules has the rules, one a file with its test beside it. They are
// given events by the evaluator of package alerts and raise alerts there.
//
// To add one: a file with a type that meets alerts.Rule, its test, and its line
// in All, in the order of DESIGN's table. What it remembers of flows or hosts
// goes into an alerts.Recent.
package rules

import "kmswatch/alerts"

// All gives the rules, new ones each time: some remember what they saw.
func All() []alerts.Rule {
	return []alerts.Rule{
		newKMSZoneClimb(),
		kmsUnknownHost{},
		kmsUnlistedClient{},
		newKMSOnDomainController(),
		kmsProductionInterface{},
		kmsForeignInterface{},
		kmsPortForeignProtocol{},
		kmsUnusualPort{},
		kmsMalformed{},
		newKMSRefused(),
		newKMSHostSoftware(),
		newKMSUnauthenticatedClient(),
		dnsKMSLookupClimb{},
		dnsKMSAnswer{},
		dnsKMSRegistration{},
		dnsDCLookupClimb{},
		newRPCAnonymousBind(),
		rpcAnonymousEnumeration{},
		newSMBNullSession(),
		newLDAPAnonymousBind(),
		rpcZoneClimb{},
		newRPCSweep(),
		newRPCExploit(),
		rpcViolation{},
		new(sensorBlind),
		newSensorAlertsLost(),
	}
}
