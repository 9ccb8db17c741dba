package dcerpc

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
)

func TestStatusNames(t *testing.T) {
	if len(statusNames) < 60 {
		t.Errorf("%d names", len(statusNames))
	}
	for i, s := range statusNames {
		if s.name == "" || i > 0 && statusNames[i-1].status >= s.status {
			t.Errorf("%#x %q is out of order", s.status, s.name)
		}
	}
	for status, want := range map[uint32]string{
		0x00000005: "ERROR_ACCESS_DENIED",
		0x000006f7: "RPC_X_BAD_STUB_DATA",
		0x000006d1: "RPC_S_PROCNUM_OUT_OF_RANGE",
		0x00000721: "RPC_S_SEC_PKG_ERROR",
		0x1c010002: "nca_s_op_rng_error",
		0x1c010003: "nca_s_unk_if",
		0x1c00001a: "nca_s_fault_context_mismatch",
		0x1c00001b: "nca_s_fault_remote_no_memory",
		0x00000000: "0x00000000",
		0x0badcafe: "0x0badcafe",
		0xffffffff: "0xffffffff",
	} {
		if got := StatusName(status); got != want {
			t.Errorf("%#x is %q, want %q", status, got, want)
		}
	}
	if !rejectStatus(0x1c010003) || rejectStatus(0x1c00001a) || rejectStatus(5) {
		t.Error("what the runtime refused")
	}
}

func TestNames(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{Acceptance.String(), "acceptance"},
		{NegotiateAck.String(), "negotiate_ack"},
		{Result(9).String(), "result(9)"},
		{RejectReasonName(2), "proposed_transfer_syntaxes_not_supported"},
		{RejectReasonName(77), "reason(77)"},
		{NakReasonName(4), "protocol_version_not_supported"},
		{NakReasonName(8), "authentication_type_not_recognized"},
		{NakReasonName(10), "reason(10)"},
		{AuthNTLM.String(), "ntlm"},
		{AuthSPNEGO.String(), "spnego"},
		{AuthKerberos.String(), "kerberos"}, // trap 36: 16 is GSS-API Kerberos
		{AuthNetlogon.String(), "netlogon"},
		{AuthType(99).String(), "auth_type(99)"},
		{LevelPrivacy.String(), "privacy"},
		{AuthLevel(7).String(), "auth_level(7)"},
		{NegotiationNak.String(), "nak"},
		{CallFaulted.String(), "fault"},
		{CallState(9).String(), "state(9)"},
	} {
		if tt.got != tt.want {
			t.Errorf("%q, want %q", tt.got, tt.want)
		}
	}
}

func TestInterfaceTableIsWellFormed(t *testing.T) {
	version := regexp.MustCompile(`^(-|\d+\.\d+)$`)
	name := regexp.MustCompile(`^[A-Za-z]\w*$`)
	last, opnum, interfaces, operations := "", -1, 0, 0
	for i, line := range strings.Split(strings.TrimSuffix(interfacesTSV, "\n"), "\n") {
		if strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(line, "\t")
		if len(f) != 3 || !name.MatchString(f[2]) {
			t.Errorf("line %d: %q", i+1, line)
			continue
		}
		if f[0] == "" {
			n, err := strconv.ParseUint(f[1], 10, 16)
			if err != nil || int(n) <= opnum || last == "" || strconv.Itoa(int(n)) != f[1] {
				t.Errorf("line %d: opnum %q after %d", i+1, f[1], opnum)
			}
			opnum = int(n)
			operations++
			continue
		}
		u, ok := ParseUUID(f[0])
		if !ok || u.String() != f[0] || f[0] <= last || !version.MatchString(f[1]) {
			t.Errorf("line %d: %q after %s", i+1, line, last)
		}
		last, opnum = f[0], -1
		interfaces++
	}
	if interfaces < 224 || operations < 2550 {
		t.Errorf("%d interfaces with %d operations", interfaces, operations)
	}
	table := parseInterfaces(interfacesTSV)
	if len(table.names) != interfaces || len(table.operations) != operations {
		t.Errorf("%d and %d are parsed", len(table.names), len(table.operations))
	}
}

func TestLookups(t *testing.T) {
	if name, ok := LookupInterface(KMS); name != "kms" || !ok {
		t.Error(name, ok)
	}
	if name, ok := LookupInterface(UUID{1}); name != "" || ok {
		t.Error(name, ok)
	}
	for _, tt := range []struct {
		iface UUID
		opnum uint16
		want  string
	}{
		{KMS, 0, "RequestActivation"},
		{samr, 64, "SamrConnect5"},
		{EPMapper, 3, "ept_map"},
		{samr, 999, ""},
		{UUID{}, 0, ""},
	} {
		if got := OperationName(tt.iface, tt.opnum); got != tt.want {
			t.Errorf("%v %d is %q, want %q", tt.iface, tt.opnum, got, tt.want)
		}
	}
	if u := InterfaceByName("SAMR"); len(u) != 1 || u[0] != samr {
		t.Error(u)
	}
	if u := InterfaceByName("IWbemClassObject"); len(u) != 2 {
		t.Error(u)
	}
	if u := InterfaceByName("no such"); u != nil {
		t.Error(u)
	}
}
