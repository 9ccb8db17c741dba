package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// decoded are the captures whose messages are pinned, a few for each of what
// decode tells; the comparison with tshark covers the rest.
var decoded = []string{
	// KMS: versions and syntaxes, Office, refusals, py-kms, broken messages.
	"kms-v4-both-syntaxes.pcap",
	"kms-v4-office.pcap",
	"kms-v5-both-syntaxes.pcap",
	"kms-v6-both-syntaxes.pcap",
	"kms-refused-once.pcap",
	"kms-fault.pcap",
	"kms-host-pykms.pcap",
	"kms-malformed-requests.pcap",
	"kms-malformed-responses.pcap",
	"kms-port-foreign-protocol.pcap",
	// DCE/RPC: fragments, byte orders, contexts, every type of PDU.
	"rpc-fragmented.pcap",
	"rpc-interleaved.pcap",
	"rpc-fragments-differ.pcap",
	"rpc-big-endian.pcap",
	"rpc-big-endian-both.pcap",
	"rpc-object-uuid.pcap",
	"rpc-results-positional.pcap",
	"rpc-second-bind-nak.pcap",
	"rpc-cancel-orphaned-shutdown.pcap",
	"rpc-pipelined.pcap",
	"rpc-verifier-overruns.pcap",
	"real-alter-context.pcap",
	"real-rpcclient-seal.pcap",
	// Streams and packets.
	"tcp-gap.pcap",
	"tcp-overlap-differs.pcap",
	"ip-fragments-overlap.pcap",
	"ipv6.pcap",
	"link-qinq.pcap",
	"tunnel-geneve.pcap",
	"tunnel-erspan3-platform.pcap",
	"snap-length-128.pcap",
	// DNS: the forms of questions, answers and updates.
	"dns-kms-lookup-refused.pcap",
	"dns-cname-chain.pcap",
	"dns-compressed-target.pcap",
	"dns-ipv6.pcap",
	"dns-update-forms.pcap",
	"real-nsupdate-signed.pcap",
	// SMB 1 and 2, their pipes and tokens; LDAP and its tokens; Kerberos.
	"real-smb1-raw-ntlm.pcap",
	"real-smb2-wrong-password.pcap",
	"real-ldap-ntlm.pcap",
	"real-ldap-simple-refused.pcap",
	"real-kvno.pcap",
}

// TestGoldenDecode holds what decode prints of a capture against
// testdata/decode/<capture>.ndjson.
func TestGoldenDecode(t *testing.T) {
	for _, name := range decoded {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out, err bytes.Buffer
			args := []string{"decode", filepath.Join("../../decode/testdata/captures", name)}
			if got := run(t.Context(), args, terminal{in: &bytes.Buffer{}, out: &out, err: &err}); got != exitDone || err.Len() > 0 {
				t.Fatalf("exit code %d: %s", got, &err)
			}
			golden := filepath.Join("testdata/decode", strings.TrimSuffix(name, filepath.Ext(name))+".ndjson")
			want, e := os.ReadFile(golden)
			if e != nil && !*update {
				t.Fatal(e)
			}
			d := cmp.Diff(string(want), out.String())
			switch {
			case d == "" && e == nil:
			case *update:
				if err := os.WriteFile(golden, out.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			default:
				t.Errorf("-want +got; -update rewrites it\n%s", d)
			}
		})
	}
}
