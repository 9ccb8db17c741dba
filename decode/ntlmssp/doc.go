// Package ntlmssp decodes the three messages of NTLM (MS-NLMP 2.2.1), whatever
// carries them. It is given one message that nobody vouches for and gives its
// names, flags and lengths. It checks no credential: of challenges, responses,
// session keys and the MIC it tells lengths and presence, never bytes.
//
// A message does not say how long it is; bytes behind its last field belong to
// the carrier and are not looked at.
package ntlmssp
