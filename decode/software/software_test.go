package software

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kmswatch/decode/dcerpc"
)

var (
	samr     = dcerpc.Syntax{UUID: dcerpc.MustUUID("12345778-1234-abcd-ef00-0123456789ac"), Major: 1}
	kms      = dcerpc.Syntax{UUID: dcerpc.KMS, Major: 1}
	features = dcerpc.Syntax{UUID: dcerpc.MustUUID("6cb71c2c-9812-4540-0300-000000000000"), Major: 1}
	other    = dcerpc.Syntax{UUID: dcerpc.MustUUID("abcd0000-0000-0000-0000-000000000000"), Major: 1}
)

// bind builds the bind of a client with a context for each transfer syntax.
func bind(iface dcerpc.Syntax, flags uint8, size uint16, call uint32, syntaxes ...dcerpc.Syntax) *dcerpc.Negotiation {
	n := &dcerpc.Negotiation{Flags: flags, MaxXmit: size, MaxRecv: size, CallID: call}
	for i, s := range syntaxes {
		n.Contexts = append(n.Contexts, dcerpc.ContextItem{ID: uint16(i), Abstract: iface, Transfer: []dcerpc.Syntax{s}})
	}
	return n
}

// acked answers n: a result a context, of accept, reject and ack.
func acked(n *dcerpc.Negotiation, group uint32, address string, results ...dcerpc.Result) *dcerpc.Negotiation {
	n.State, n.AnswerFlags, n.AnswerXmit, n.AnswerRecv = dcerpc.NegotiationAccepted, n.Flags, n.MaxXmit, n.MaxRecv
	n.Group, n.Secondary, n.Results = group, []byte(address), len(results)
	for i, r := range results {
		x := &n.Contexts[i]
		x.Answered, x.Result = true, r
		switch r {
		case dcerpc.Acceptance:
			x.Accepted = x.Transfer[0]
		case dcerpc.ProviderRejection:
			x.Reason = 2
		case dcerpc.NegotiateAck:
			x.Reason = 3
		}
	}
	return n
}

const (
	whole  = dcerpc.FlagFirst | dcerpc.FlagLast
	mpx    = whole | dcerpc.FlagConcMpx
	accept = dcerpc.Acceptance
	reject = dcerpc.ProviderRejection
	ack    = dcerpc.NegotiateAck
)

func windowsKMS() *dcerpc.Negotiation {
	return bind(kms, mpx, 5840, 2, dcerpc.NDR32, dcerpc.NDR64, features)
}

func TestTexts(t *testing.T) {
	odd := bind(samr, whole, 4280, 1, dcerpc.NDR32, other)
	odd.Contexts[1].ID, odd.Contexts[1].Transfer = 5, []dcerpc.Syntax{other, dcerpc.NDR64, dcerpc.NDR32}
	odd.BigEndian, odd.Minor = true, 1
	odd = acked(odd, 0, "somewhere", accept)
	odd.AnswerXmit, odd.AnswerRecv, odd.AnswerFlags = 1000, 1000, mpx
	var nine []dcerpc.Syntax
	for range 9 {
		nine = append(nine, dcerpc.NDR32)
	}
	for _, c := range []struct {
		n              *dcerpc.Negotiation
		client, server string
	}{
		{acked(windowsKMS(), 7, "1688", reject, accept, ack), "c,0,le,13,5840,5840,seq,32-64-f3", "s,same,=,=,n,port,32p2-64a-f3n3"},
		{acked(bind(samr, whole|headerSign, 4280, 3, dcerpc.NDR32), 7, `\PIPE\samr`, dcerpc.UserRejection), "c,0,le,03,4280,4280,seq,32", "s,same,=,=,n,pipe,32u"},
		{odd, "c,1,be,03,4280,4280,odd,32-abcd+64+*", "s,added,1000,1000,0,other,32a-abcd+64+*?"},
		{bind(samr, whole, 4280, 1, nine...), "c,0,le,03,4280,4280,seq,32-32-32-32-32-32-32-32-*", ""},
		{&dcerpc.Negotiation{Alter: true, State: dcerpc.NegotiationAccepted}, "", ""},
		{&dcerpc.Negotiation{Cut: true, State: dcerpc.NegotiationAccepted}, "", ""},
		{&dcerpc.Negotiation{State: dcerpc.NegotiationNak}, "c,0,le,00,0,0,seq,", ""},
	} {
		client, server := Client(c.n), Server(c.n)
		if client.Text() != c.client || server.Text() != c.server {
			t.Errorf("%q and %q, want %q and %q", client.Text(), server.Text(), c.client, c.server)
		}
		if client.Known() != (len(client.Hash()) == 2*hashSize) || client.Known() != (c.client != "") {
			t.Errorf("%q: hash %q", client.Text(), client.Hash())
		}
		if string(server.AppendHash(nil)) != server.Hash() {
			t.Error("appended otherwise than told")
		}
	}
}

// TestHashesAreStable: what reads alerts may have them in lists.
func TestHashesAreStable(t *testing.T) {
	n := acked(windowsKMS(), 7, "1688", reject, accept, ack)
	client, server := Client(n), Server(n)
	if client.Hash() != "555467eabd45" || server.Hash() != "cd040c17c6e6" {
		t.Errorf("%s %s", client.Hash(), server.Hash())
	}
}

func TestHashesHoldHabitsOnly(t *testing.T) {
	a := acked(windowsKMS(), 7, "1688", reject, accept, ack)
	b := acked(bind(samr, mpx|headerSign, 5840, 99, dcerpc.NDR32, dcerpc.NDR64, features), 0xabdc893, "49152", reject, accept, ack)
	b.Auth = dcerpc.Auth{Present: true, Type: dcerpc.AuthNTLM, ContextID: 5}
	b.AskedGroup = 7
	for i := range b.Contexts {
		b.Contexts[i].ID += 4
	}
	if Client(a) != Client(b) || Server(a) != Server(b) {
		ca, cb, sa, sb := Client(a), Client(b), Server(a), Server(b)
		t.Errorf("%s and %s, %s and %s", ca.Text(), cb.Text(), sa.Text(), sb.Text())
	}
}

func TestClientNames(t *testing.T) {
	with := func(n *dcerpc.Negotiation, context uint32) *dcerpc.Negotiation {
		n.Auth = dcerpc.Auth{Present: true, ContextID: context}
		return n
	}
	joins := func(n *dcerpc.Negotiation) *dcerpc.Negotiation { n.AskedGroup = 9; return n }
	scapy := bind(samr, whole, 5840, 1, dcerpc.NDR32)
	scapy.MaxRecv = 8192
	for _, c := range []struct {
		n    *dcerpc.Negotiation
		want string
	}{
		{windowsKMS(), WindowsVlmcsd},
		{bind(kms, mpx, 5840, 2, dcerpc.NDR32), WindowsVlmcsd},
		{bind(kms, mpx, 5840, 1, dcerpc.NDR32, features), PyKMS},
		{bind(kms, mpx, 5840, 2, dcerpc.NDR32, features), Windows32},
		{bind(samr, whole, 4280, 2, dcerpc.NDR32, dcerpc.NDR64, features), Windows64},
		{joins(bind(samr, whole, 5840, 2, dcerpc.NDR32, dcerpc.NDR64)), Windows64},
		{with(bind(samr, whole, 4280, 1, dcerpc.NDR32), 79231), Impacket},
		{with(bind(samr, whole, 4280, 1, dcerpc.NDR32), 1), Samba},
		{bind(samr, whole, 4280, 1, dcerpc.NDR64), Impacket},
		{bind(samr, whole, 4280, 1, dcerpc.NDR32), ImpacketSamba},
		{bind(samr, whole, 2048, 0x41414141, dcerpc.NDR32), Nmap},
		{bind(samr, whole, 5840, 0, dcerpc.NDR32), Metasploit},
		{scapy, Scapy},
		{bind(samr, whole, 65535, 178, dcerpc.NDR32), MacOS},
		{bind(samr, whole, 5840, 1, dcerpc.NDR32), WindowsWine},
		{bind(samr, whole, 5840, 7, dcerpc.NDR32), WindowsOld},
		{joins(bind(samr, whole, 5840, 7, dcerpc.NDR32)), WindowsAny},
		{joins(bind(samr, whole, 4280, 578, dcerpc.NDR32)), WindowsOld},
		{bind(samr, whole, 4096, 3, dcerpc.NDR32), ""},
		{&dcerpc.Negotiation{Alter: true}, ""},
	} {
		name, confidence := ClientName(c.n)
		if f := Client(c.n); name != c.want || (confidence == 0) != (name == "") || confidence > 100 {
			t.Errorf("%s, call %#x: %q %d%%, want %q", f.Text(), c.n.CallID, name, confidence, c.want)
		}
	}
}

func TestServerNames(t *testing.T) {
	three := func(iface dcerpc.Syntax) *dcerpc.Negotiation {
		return bind(iface, mpx, 5840, 2, dcerpc.NDR32, dcerpc.NDR64, features)
	}
	plain := func() *dcerpc.Negotiation { return bind(samr, whole, 4280, 1, dcerpc.NDR32) }
	groups := func(values ...uint32) *Groups {
		g := new(Groups)
		for _, v := range values {
			g.Add(&dcerpc.Negotiation{State: dcerpc.NegotiationAccepted, Group: v})
		}
		return g
	}
	for _, c := range []struct {
		n    *dcerpc.Negotiation
		g    *Groups
		want string
	}{
		{acked(three(kms), 0x1063bf3f, "1688", accept, reject, ack), nil, PyKMS},
		{acked(three(kms), 5, "1688", accept, reject, ack), groups(5, 5, 5, 5), PyKMS},
		{acked(three(kms), 5, "1688", reject, accept, ack), nil, WindowsVlmcsd},
		{acked(three(kms), 5, "1688", reject, accept, ack), groups(0xabdc893, 0xabdc894, 0xabdc895, 0xabdc896), Vlmcsd},
		{acked(three(kms), 5, "1688", reject, accept, ack), groups(5, 6, 7, 8), Windows64},
		{acked(three(samr), 5, "49152", reject, accept, ack), nil, Windows64},
		{acked(three(samr), 5, "49152", accept, reject, ack), nil, WindowsSamba},
		{acked(three(samr), 5, "49152", accept), nil, Samba3},
		{acked(plain(), 5, `\pipe\srvsvc`, accept), nil, Samba},
		{acked(plain(), 5, `\PIPE\srvsvc`, accept), nil, WindowsAny},
		{acked(plain(), 5, `\pipe\lsass`, accept), nil, ""},
		{acked(plain(), 5, "49152", accept), groups(0x1e04, 0x8fc7, 0x2e10, 0x8b8b), Samba},
		{acked(plain(), 5, "49152", accept), groups(0xdeda, 0xdedb, 0xdedc, 0xdedd), WindowsAny},
		{acked(plain(), 5, "49152", accept), groups(0xdeda, 0xdedb), ""},
		{acked(plain(), 5, "49152", accept), nil, ""},
		{plain(), nil, ""},
	} {
		name, confidence := ServerName(c.n, c.g)
		if f := Server(c.n); name != c.want || (confidence == 0) != (name == "") || confidence > 100 {
			t.Errorf("%s, group %#x: %q %d%%, want %q", f.Text(), c.n.Group, name, confidence, c.want)
		}
	}
	t.Run("an interface that is not there says nothing of syntaxes", func(t *testing.T) {
		n := acked(three(samr), 5, "49152", reject, reject, reject)
		n.State = dcerpc.NegotiationRejected
		for i := range n.Contexts {
			n.Contexts[i].Reason = 1
		}
		if name, _ := ServerName(n, nil); name != "" {
			t.Error(name)
		}
	})
}

func TestEveryRowHasAName(t *testing.T) {
	for i, r := range clients {
		if r.name == "" || r.confidence == 0 || r.confidence > 100 {
			t.Errorf("client row %d: %+v", i, r.name)
		}
	}
	for i, r := range servers {
		if r.name == "" || r.confidence == 0 || r.confidence > 100 {
			t.Errorf("server row %d: %+v", i, r.name)
		}
	}
}

func TestGroupHabits(t *testing.T) {
	g := new(Groups)
	add := func(n dcerpc.Negotiation) { g.Add(&n) }
	ok := dcerpc.NegotiationAccepted
	add(dcerpc.Negotiation{State: ok, Group: 0xffffffff})
	add(dcerpc.Negotiation{State: ok, Group: 9, AskedGroup: 9})
	add(dcerpc.Negotiation{State: ok, Group: 9, Alter: true})
	add(dcerpc.Negotiation{State: ok})
	add(dcerpc.Negotiation{State: dcerpc.NegotiationNak, Group: 9})
	if g.steps != 0 {
		t.Errorf("%d steps", g.steps)
	}
	for i := range uint32(300) {
		add(dcerpc.Negotiation{State: ok, Group: i + 1}) // the first step is over zero
	}
	if g.Habit() != NoHabit || g.steps != 255 {
		t.Errorf("%v after %d steps", g.Habit(), g.steps)
	}
}

// TestCaptures names the software of captures of which it is known.
func TestCaptures(t *testing.T) {
	for _, c := range []struct {
		file           string
		client, server string // among the names that are told
	}{
		{"kms-host-pykms.pcap", WindowsVlmcsd, PyKMS},
		{"real-rpcclient-seal.pcap", Samba, ""},
		{"real-rpcdump.pcap", ImpacketSamba, ""},
		{"real-rpcmap-opnums.pcap", ImpacketSamba, Samba},
		{"lab/kms-three-versions.pcap", WindowsVlmcsd, Vlmcsd},
		{"lab/smb2-anonymous-enumeration.pcap", ImpacketSamba, Samba},
		{"lab/tcp-sealed-samr.pcap", Samba, ""},
		{"scapy/dcerpc_msnrpc.pcapng.gz-gunzipped-", Scapy, ""},
		{"scapy/dcerpc_privacy_krb.pcapng.gz-gunzipped-", Windows64, Windows64},
		{"samr-enum-lab/net.exe_group__domain.pcapng", Windows64, Windows64},
		{"zerologon/CVE-2020-1472_test_win2019.pcap", ImpacketSamba, WindowsAny},
		{"zeek/krb-kerberos_tso.pcapng", Windows64, WindowsAny},
		{"suricata-verify/smb-length-5770.pcap", MacOS, MacOS},
	} {
		t.Run(filepath.Base(c.file), func(t *testing.T) {
			path := filepath.Join("../testdata/captures", c.file)
			if strings.Contains(c.file, "/") {
				path = filepath.Join("../../../shared/captures", c.file)
			}
			if _, err := os.Stat(path); err != nil {
				t.Skip("the capture is not there")
			}
			known := map[string]*Groups{}
			clients, servers := map[string]int{}, map[string]int{}
			negotiations(t, path, func(n *dcerpc.Negotiation) {
				g := known[string(n.Secondary)]
				if g == nil {
					g = new(Groups)
					known[string(n.Secondary)] = g
				}
				g.Add(n)
				name, _ := ClientName(n)
				clients[name]++
				name, _ = ServerName(n, g)
				servers[name]++
			})
			if clients[c.client] == 0 || servers[c.server] == 0 {
				t.Errorf("clients %v, servers %v; want %q and %q", clients, servers, c.client, c.server)
			}
		})
	}
}

func TestAllocatesNothing(t *testing.T) {
	n := acked(windowsKMS(), 7, "1688", reject, accept, ack)
	var g Groups
	if allocs := testing.AllocsPerRun(100, func() {
		c, s := Client(n), Server(n)
		g.Add(n)
		ClientName(n)
		ServerName(n, &g)
		_, _ = c, s
	}); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

// FuzzText holds that a text is whole and tells flags, sizes and syntaxes apart.
func FuzzText(f *testing.F) {
	f.Add(uint8(0x13), uint16(5840), uint16(5840), []byte{0, 1, 2, 3, 4})
	f.Fuzz(func(t *testing.T, flags uint8, xmit, recv uint16, kinds []byte) {
		if len(kinds) > 300 {
			return
		}
		n := bind(samr, flags, xmit, 1)
		n.MaxRecv = recv
		for i, k := range kinds {
			x := dcerpc.ContextItem{ID: uint16(i), Answered: k&8 != 0, Result: dcerpc.Result(k >> 6), Reason: uint16(k) << 8}
			for range k >> 4 & 3 {
				x.Transfer = append(x.Transfer, [...]dcerpc.Syntax{dcerpc.NDR32, dcerpc.NDR64, features, other}[k&3])
			}
			n.Contexts = append(n.Contexts, x)
		}
		n.State = dcerpc.NegotiationAccepted
		c, s := Client(n), Server(n)
		for _, text := range []string{c.Text(), s.Text()} {
			if len(text) == 0 || len(text) >= maxText {
				t.Fatalf("%d bytes of text: %s", len(text), text)
			}
		}
		if want := fmt.Sprintf("c,0,le,%02x,%d,%d,", flags&^headerSign, xmit, recv); !strings.HasPrefix(c.Text(), want) {
			t.Fatalf("%s does not begin with %s", c.Text(), want)
		}
		ClientName(n)
		ServerName(n, nil)
	})
}
