package host

import (
	"net/netip"
	"testing"
	"time"

	"kmswatch/capture"
	"kmswatch/capture/capturetest/netns"
)

// frame is one of IP between two addresses, behind an Ethernet header with tags.
func frame(src, dst string, tags string) *capture.Frame {
	s, d := netip.MustParseAddr(src), netip.MustParseAddr(dst)
	b := append(make([]byte, 12), tags...)
	if s.Is4() {
		b = append(b, 8, 0, 0x45)
		b = append(b, make([]byte, 11)...)
	} else {
		b = append(b, 0x86, 0xdd, 0x60)
		b = append(b, make([]byte, 7)...)
	}
	b = append(b, s.AsSlice()...)
	b = append(b, d.AsSlice()...)
	return &capture.Frame{Data: b, Length: len(b), Link: capture.LinkEthernet}
}

func watchAddresses(t testing.TB, in *netns.Space) *Addresses {
	t.Helper()
	var a *Addresses
	var err error
	in.Do(func() { a, err = WatchAddresses() })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	return a
}

func TestOwnFramesAreThoseOfTheHost(t *testing.T) {
	in := netns.New(t)
	netns.Veth(t, in, "left", in, "right", 1500)
	in.IP(t, "addr", "add", "10.1.0.1/24", "dev", "left")
	in.IP(t, "addr", "add", "10.9.0.1", "peer", "10.9.0.2", "dev", "left")
	in.IP(t, "addr", "add", "fd00::1/64", "dev", "left")
	a := watchAddresses(t, in)
	raw := frame("10.1.0.1", "10.1.0.2", "")
	raw.Data, raw.Link = raw.Data[14:], capture.LinkRaw
	for _, c := range []struct {
		name string
		f    *capture.Frame
		want bool
	}{
		{"from the host", frame("10.1.0.1", "192.0.2.1", ""), true},
		{"to the host", frame("192.0.2.1", "10.1.0.1", ""), true},
		{"from the host, IPv6", frame("fd00::1", "fd00::2", ""), true},
		{"to the host, IPv6", frame("fd00::2", "fd00::1", ""), true},
		{"loopback", frame("127.0.0.1", "127.0.0.1", ""), true},
		{"with a peer", frame("10.9.0.1", "192.0.2.1", ""), true},
		{"with tags", frame("10.1.0.1", "192.0.2.1", "\x88\xa8\x00\x01\x81\x00\x00\x02"), true},
		{"raw", raw, true},
		{"routed", frame("10.1.0.2", "192.0.2.1", ""), false},
		{"routed, IPv6", frame("fd00::2", "fd00::3", ""), false},
		{"the peer's own", frame("10.9.0.2", "192.0.2.1", ""), false},
		{"broadcast of another", frame("10.1.0.2", "10.1.0.255", ""), false},
		{"ARP", &capture.Frame{Data: append(make([]byte, 12), "\x08\x06\x00\x01"...), Link: capture.LinkEthernet}, false},
	} {
		if got := a.Own(c.f); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
		// Cut anywhere it is at most less the host's, and never the end of the sensor.
		for n := range c.f.Data {
			cut := *c.f
			cut.Data = c.f.Data[:n:n]
			if a.Own(&cut) && !c.want {
				t.Errorf("%s, cut at %d: is the host's", c.name, n)
			}
		}
		if n := testing.AllocsPerRun(10, func() { a.Own(c.f) }); n != 0 {
			t.Errorf("%s: allocates %v times", c.name, n)
		}
	}
}

func TestAddressesAreFollowed(t *testing.T) {
	in := netns.New(t)
	netns.Veth(t, in, "left", in, "right", 1500)
	a := watchAddresses(t, in)
	await := func(f *capture.Frame, want bool) {
		t.Helper()
		for end := time.Now().Add(10 * time.Second); a.Own(f) != want; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("own stays %v", !want)
			}
		}
	}
	four, six := frame("192.0.2.1", "10.1.0.1", ""), frame("fd00::2", "fd00::1", "")
	await(four, false)
	await(six, false)
	in.IP(t, "addr", "add", "10.1.0.1/24", "dev", "left")
	await(four, true)
	in.IP(t, "addr", "add", "fd00::1/64", "dev", "left")
	await(six, true)
	in.IP(t, "addr", "del", "10.1.0.1/24", "dev", "left")
	await(four, false)
	in.IP(t, "link", "del", "left")
	await(six, false)
}

func BenchmarkOwn(b *testing.B) {
	a := watchAddresses(b, netns.New(b))
	f := frame("10.1.0.2", "192.0.2.1", "")
	b.ReportAllocs()
	for b.Loop() {
		if a.Own(f) {
			b.Fatal("own")
		}
	}
}
