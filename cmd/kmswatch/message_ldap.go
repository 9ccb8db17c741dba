package main

import "kmswatch/decode/ldap"

// ldapMessage is what the decode verb says of one LDAP message.
type ldapMessage struct {
	ID         int64          `json:"message_id"`
	Operation  string         `json:"operation"` // bindRequest, searchResDone, ...
	Name       string         `json:"name,omitempty"`
	Auth       string         `json:"authentication,omitempty"`
	Mechanism  string         `json:"mechanism,omitempty"`
	Scope      string         `json:"scope,omitempty"`
	Filter     string         `json:"filter,omitempty"`
	Attributes []string       `json:"attributes,omitempty"`
	Result     *statusMessage `json:"result,omitempty"`
	Diagnostic string         `json:"diagnostic,omitempty"`
	Size       int            `json:"size"`
}

func newLDAPMessage(x *ldap.Message) *ldapMessage {
	m := &ldapMessage{ID: x.ID, Operation: x.Op.String(), Name: x.Name, Mechanism: x.Mechanism, Size: x.Size}
	switch x.Op {
	case ldap.BindRequest:
		m.Auth = x.Auth.String()
	case ldap.SearchRequest:
		m.Scope, m.Filter = x.Scope.String(), x.Filter
		_, m.Attributes = x.Kept()
	}
	if x.HasResult {
		m.Result = &statusMessage{uint32(x.Result), x.Result.String()}
		m.Diagnostic = x.Diagnostic
	}
	return m
}
