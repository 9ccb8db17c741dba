package decode

import (
	"bytes"

	"kmswatch/decode/kerberos"
)

// guess names the protocol that a stream begins with, or "unknown". It serves
// a person who asks what else talks on a KMS port, so the few protocols that
// tunnels, scanners and strays bring are enough.
func guess(b []byte) string {
	switch {
	case len(b) >= 3 && b[0] == 0x16 && b[1] == 3 && b[2] <= 4:
		return "tls" // handshake record, RFC 8446 5.1
	case bytes.HasPrefix(b, []byte("SSH-")):
		return "ssh" // RFC 4253 4.2
	case bytes.HasPrefix(b, []byte("ncacn_http/")):
		return "ncacn_http" // MS-RPCH 2.1.2.1
	case isHTTP(b):
		return "http"
	case len(b) >= 8 && b[0] == 0 && (b[4] == 0xff || b[4] == 0xfe) && string(b[5:8]) == "SMB":
		return "smb" // behind NetBIOS session framing, MS-SMB2 2.1
	case len(b) >= 7 && b[0] == 3 && b[1] == 0 && b[5] == 0xe0:
		return "rdp" // X.224 connection request in TPKT, MS-RDPBCGR 2.2.1.1
	case len(b) >= 3 && b[0] == 5 && int(b[1]) == len(b)-2:
		return "socks" // RFC 1928 3
	case kerberos.Probe(b) == kerberos.Match:
		return "kerberos"
	}
	return "unknown"
}

// enoughToGuess is how many bytes tell all protocols apart that guess knows.
const enoughToGuess = len("RPC_OUT_DATA ")

func isHTTP(b []byte) bool {
	for _, p := range [...]string{"GET ", "HEAD ", "POST ", "PUT ", "OPTIONS ", "CONNECT ", "DELETE ", "PRI * HTTP/2", "HTTP/1.", "RPC_IN_DATA ", "RPC_OUT_DATA "} {
		if bytes.HasPrefix(b, []byte(p)) {
			return true
		}
	}
	return false
}
