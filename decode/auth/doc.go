// Package auth tells who is asking. It is given the tokens of an authentication,
// whatever carries them (an SMB session setup, a verifier of DCE/RPC, an LDAP
// bind), and gives the caller: a name, a ticket's service, or anonymous, with the
// mechanism, the evidence, and whether the server took it. It checks no
// credential and gives none out.
package auth
