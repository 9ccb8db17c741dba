package decode_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kmswatch/capture/capturetest"
	"kmswatch/decode"
)

var update = flag.Bool("update", false, "write the golden files of failing cases anew")

// pinned are the captures whose events are held against testdata/events, a few
// for each promise. Their frames and lengths were compared with tshark's.
var pinned = []string{
	// Outcomes: of binds, calls, exchanges.
	"kms-zone-climb.pcap", "kms-v4-both-syntaxes.pcap", "kms-refused-once.pcap", "kms-fault.pcap",
	"kms-unanswered.pcap", "kms-bind-nak.pcap", "kms-bind-rejected.pcap", "kms-bind-unanswered.pcap",
	"kms-unknown-opnum.pcap", "kms-malformed-responses.pcap", "kms-dynamic-port.pcap",
	"kms-port-foreign-protocol.pcap", "kms-port-silent.pcap",
	// Contexts and calls.
	"rpc-alter-rejected.pcap", "rpc-second-bind-nak.pcap", "rpc-second-bind-accepted.pcap",
	"rpc-context-unknown.pcap", "rpc-context-rejected.pcap", "rpc-pipelined.pcap", "rpc-interleaved.pcap",
	"rpc-response-first.pcap", "rpc-cancel-orphaned-shutdown.pcap", "rpc-fragmented.pcap",
	"rpc-fragments-unfinished.pcap", "rpc-garbage-after-bind.pcap", "rpc-lookalikes.pcap",
	"rpc-privacy-claimed.pcap", "rpc-big-endian-both.pcap", "rpc-verifier-overruns.pcap",
	"real-alter-context.pcap", "real-rpcclient-seal.pcap", "real-rpcclient-denied.pcap",
	// Quality: what was not seen of a stream.
	"tcp-answer-before-request.pcap", "tcp-client-only.pcap", "tcp-server-only.pcap",
	"tcp-mid-stream.pcap", "tcp-mid-stream-bind.pcap", "tcp-mid-stream-inside.pcap",
	"tcp-gap.pcap", "tcp-gap-bind.pcap", "tcp-out-of-order.pcap", "tcp-retransmitted.pcap",
	"tcp-span-duplicates.pcap", "tcp-span-duplicates-routed.pcap", "tcp-overlap-differs.pcap",
	"tcp-overlap-differs-late.pcap", "tcp-port-reused.pcap", "tcp-port-reused-silently.pcap",
	"tcp-reset-with-data.pcap", "tcp-syn-repeated.pcap", "tcp-syn-with-data.pcap", "tcp-fin-early.pcap",
	"snap-length-96.pcap", "snap-length-128.pcap",
	// What lies below: ids of VLANs and tunnels, fragments.
	"link-vlan.pcap", "link-qinq.pcap", "tunnel-gre.pcap", "tunnel-erspan3-platform.pcap",
	"tunnel-vxlan.pcap", "tunnel-geneve.pcap", "tunnel-ipip.pcap", "tunnel-deep.pcap",
	"ip-fragments-overlap.pcap", "ip-fragments-lost.pcap", "ipv6-extensions.pcap",
	// DNS.
	"dns-answer-unasked.pcap", "dns-any.pcap", "dns-case.pcap", "dns-cname-chain.pcap",
	"dns-compressed-target.pcap", "dns-counts-lie.pcap", "dns-kms-lookup-refused.pcap",
	"dns-tcp-several.pcap", "dns-truncated-then-tcp.pcap", "dns-update-forms.pcap",
	"real-dig-vlmcs.pcap", "real-nsupdate-refused.pcap",
	// The endpoint mapper.
	"real-rpcclient-anonymous.pcap", "real-rpcdump.pcap",
	// Connectionless, and over HTTP.
	"rpc-datagrams.pcap", "rpc-http.pcap",
	// Who asks, by verifiers: NTLM taken and refused, at each level, and Kerberos.
	"real-rpcclient-ntlm.pcap", "real-rpcclient-wrong-password.pcap", "real-rpcclient-connect.pcap",
	"real-rpcclient-krb5.pcap",
	// SMB 1: with and without extended security, the dialects of LANMAN.
	"real-smb1-null-session.pcap", "real-smb1-null-session-denied.pcap", "real-smb1-raw-ntlm.pcap",
	"real-smb1-lanman.pcap", "real-smbclient-list-smb1.pcap",
	// SMB 2 and 3: null, guest, refused, Kerberos, RPC's own security, what is hidden.
	"real-smb2-null-session.pcap", "real-smb2-guest.pcap", "real-smb2-wrong-password.pcap",
	"real-smb2-kerberos.pcap", "real-smb2-rpc-seal.pcap", "real-smb2-session-bind.pcap",
	"real-smb2-compound.pcap", "real-smb3-encrypted.pcap",
	// LDAP and Kerberos.
	"real-ldap-anonymous.pcap", "real-ldap-simple-refused.pcap", "real-ldap-ntlm.pcap",
	"real-ldap-gssapi.pcap", "real-ldap-starttls.pcap", "real-cldap-ping.pcap",
	"real-kvno.pcap", "real-kinit-wrong-password.pcap",
}

// TestGoldenEvents holds the events of a capture, a line each (see render),
// against testdata/events/<capture>.txt, whose first line is what the manifest
// says that the capture shows.
func TestGoldenEvents(t *testing.T) {
	shows := manifest(t)
	for _, name := range pinned {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := joined(append([]string{"# " + shows[name]}, play(t, capturetest.Load(t, filepath.Join(pool, name)), decode.Config{})...)) + "\n"
			golden := filepath.Join("testdata/events", strings.TrimSuffix(name, filepath.Ext(name))+".txt")
			want, err := os.ReadFile(golden)
			if err != nil && !*update {
				t.Fatal(err)
			}
			d := cmp.Diff(string(want), got)
			switch {
			case d == "" && err == nil:
			case *update:
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			default:
				t.Errorf("-want +got; -update rewrites it\n%s", d)
			}
		})
	}
}
