package auth

// LanMan takes an SMB1 session setup that has names and responses, or a
// password, in itself (MS-CIFS 2.2.4.53.1). Empty tells that both passwords, the
// OEM and the Unicode one, are nothing or a terminator.
func (x *Exchange) LanMan(domain, user string, empty bool) {
	x.Reset(LanMan)
	x.now.Domain, x.now.User = domain, user
	if empty {
		x.now.Evidence |= EmptyResponse
	}
	if user == "" {
		x.now.Evidence |= EmptyUser
	}
	x.steps = SeenNegotiate | SeenAuthenticate
	x.judge()
}

// Simple takes an LDAP simple bind, RFC 4513 5.1, which may have a password.
func (x *Exchange) Simple(dn []byte, password bool) {
	x.Reset(Simple)
	x.now.User = name(dn)
	switch {
	case password && len(dn) == 0:
		x.now.Evidence = EmptyUser
	case password:
	case len(dn) == 0:
		x.now.Evidence = LDAPAnonymous
	default:
		x.now.Evidence = LDAPUnauthenticated
	}
	x.steps = SeenNegotiate | SeenAuthenticate
	x.judge()
}

// AuthType gives the mechanism that an authentication type of DCE/RPC names,
// MS-RPCE 2.2.1.1.7.
func AuthType(t uint8) Mechanism {
	switch t {
	case 0:
		return NoMechanism
	case 9:
		return Negotiate
	case 10:
		return NTLM
	case 14:
		return Schannel
	case 16:
		return Kerberos
	case 30, 31:
		return NegoEx
	case 68:
		return Netlogon
	}
	return OtherMechanism
}

// SASL gives the mechanism of a name that LDAP servers of Windows and others
// know, MS-ADTS 5.1.1.1.2.
func SASL(name []byte) Mechanism {
	switch string(name) {
	case "GSS-SPNEGO":
		return Negotiate
	case "GSSAPI":
		return Kerberos
	case "NTLM":
		return NTLM
	case "DIGEST-MD5":
		return Digest
	case "EXTERNAL":
		return External
	case "PLAIN":
		return Plain
	}
	return OtherMechanism
}
