package smb

import (
	"strings"
	"testing"
)

func TestProbe(t *testing.T) {
	v1, v2 := new(conv1), new(conv2)
	negotiate1 := v1.msg(offers("NT LM 0.12")).packet()
	negotiate2 := v2.negotiate(0x0202).packet()
	sealed := nbss(join([]byte{0xfd, 'S', 'M', 'B'}, zero(60)))
	packed := nbss(join([]byte{0xfc, 'S', 'M', 'B'}, zero(60)))
	name := strings.Repeat("CA", 16)
	request := join([]byte{0x81, 0, 0, 68, 32}, []byte(name), []byte{0, 32}, []byte(name), []byte{0})
	for _, c := range []struct {
		name string
		b    []byte
		want Verdict
	}{
		{"SMB 1", negotiate1, Match},
		{"SMB 2", negotiate2, Match},
		{"SMB 3 encrypted", sealed, Match},
		{"SMB 3 compressed", packed, Match},
		{"a session request", request, Match},
		{"keep-alive, then SMB 2", join([]byte{0x85, 0, 0, 0}, negotiate2), Match},
		{"a positive answer, then SMB 1", join([]byte{0x82, 0, 0, 0}, negotiate1), Match},
		{"a negative answer", []byte{0x83, 0, 0, 1, 0x82}, Match},
		{"a retarget answer", []byte{0x84, 0, 0, 6, 10, 0, 0, 1, 0, 139}, Match},
		{"keep-alive alone", []byte{0x85, 0, 0, 0}, More},
		{"nothing", nil, No + More},
		{"many keep-alives", []byte(strings.Repeat("\x85\x00\x00\x00", 20)), No},
		{"a name that is none", []byte{0x81, 0, 0, 68, 32, 'z'}, No},
		{"TLS", []byte{0x16, 3, 1, 0, 200}, No},
		{"DNS over TCP", []byte{0, 40, 0x12, 0x34, 1, 0, 0, 1, 0, 0}, No},
		{"DCE/RPC", []byte(pdu(11, 72)), No},
		{"a message of another protocol", nbss([]byte("\x05SMB and so on, long enough for all")), No},
		{"an unknown command of SMB 1", nbss(join([]byte("\xffSMB\x41"), zero(60))), No},
		{"a header of SMB 2 of another size", nbss(join([]byte("\xfeSMB\x41\x00"), zero(80))), No},
		{"a message that is too short", nbss([]byte("\xfeSMB\x40\x00")), No},
	} {
		if got := Probe(c.b); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
		if c.want != Match {
			continue
		}
		// No beginning of it is refused, and once sure it stays so.
		sure := false
		for n := range c.b {
			got := Probe(c.b[:n])
			if got == No || sure && got != Match {
				t.Errorf("%s: %d after %d bytes", c.name, got, n)
			}
			sure = got == Match
		}
	}
}

func TestNames(t *testing.T) {
	for _, table := range [][]number{statusTable[:], dosTable[:], controlTable[:], transactionTable[:]} {
		for i := 1; i < len(table); i++ {
			if table[i-1].value >= table[i].value {
				t.Errorf("%s is out of order", table[i].name)
			}
		}
	}
	for _, c := range []struct{ got, want string }{
		{StatusName(0), "STATUS_SUCCESS"},
		{StatusName(0xc0000022), "STATUS_ACCESS_DENIED"},
		{StatusName(0xc000a000), "STATUS_INVALID_SIGNATURE"},
		{StatusName(0xdeadbeef), "0xdeadbeef"},
		{DOSName(1, 5), "ERRnoaccess"},
		{DOSName(9, 5), "error(9:5)"},
		{CommandName(1, 0x75), "TREE_CONNECT_ANDX"},
		{CommandName(1, 0x41), "command(65)"},
		{CommandName(2, 11), "IOCTL"},
		{CommandName(2, 99), "command(99)"},
		{CommandName(VersionTransform, 0), "TRANSFORM"},
		{ControlName(FsctlPipeTransceive), "FSCTL_PIPE_TRANSCEIVE"},
		{ControlName(1), "0x00000001"},
		{TransactionName(0x26), "TRANSACT_NMPIPE"},
		{TransactionName(0x99), "function(153)"},
		{Anomaly(1).String(), "not-smb"},
		{Anomaly(200).String(), "anomaly(200)"},
		{Granted.String(), "granted"},
		{Compressed.String(), "compressed"},
	} {
		if c.got != c.want {
			t.Errorf("got %s, want %s", c.got, c.want)
		}
	}
	for a := Anomaly(0); a < anomalies; a++ {
		if a.String() == "" {
			t.Errorf("anomaly %d has no name", a)
		}
	}
	if len(statusTable) < 120 {
		t.Errorf("%d statuses", len(statusTable))
	}
}

func TestPipeNames(t *testing.T) {
	for in, want := range map[string]string{
		`samr`: "samr", `\SAMR`: "samr", `\PIPE\lsarpc`: "lsarpc", `\pipe\\x`: "x", `PIPE\winreg`: "winreg", `pipeline`: "pipeline", `\`: "", `\PIPE\`: `pipe\`,
	} {
		if got := string(pipeName([]byte(in))); got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
}

// Trap 38: names are decoded, not stripped of zeroes.
func TestTrap38Names(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{string(appendUTF16(nil, utf("Zoë 日本 😀"))), "Zoë 日本 😀"},
		{string(appendUTF16(nil, []byte{0, 0xd8, 'x', 0})), "\ufffdx"},
		{string(appendUTF16(nil, []byte{'a', 0, 'b'})), "a"},
		{string(appendOEM(nil, []byte("a\xe9\x00b"))), "aé"},
		{string(bounded([]byte(strings.Repeat("é", 300)))), strings.Repeat("é", 256)},
		{string(bounded([]byte("x" + strings.Repeat("é", 300)))), "x" + strings.Repeat("é", 255)},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}
