package decode_test

import (
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"kmswatch/decode"
)

func TestKerberosThatLacksAFieldIsToldOf(t *testing.T) {
	t.Parallel()
	kdc := netip.MustParseAddrPort("10.66.10.10:88")
	whole, err := hex.DecodeString("7e5a3058a003020105a10302011ea411180f32303236303130313030303030305aa503020100" +
		"a603020106a90d1b0b4558414d504c452e434f4daa20301ea003020102a11730151b066b72627467741b0b4558414d504c452e434f4d")
	if err != nil {
		t.Fatal(err)
	}
	// Without stime and susec, RFC 4120 5.9.1.
	short := slices.Concat([]byte{0x7e, 0x42, 0x30, 0x40}, whole[4:14], whole[14+19+5:])
	for _, tt := range []struct {
		name    string
		message []byte
		want    string
	}{
		{"a KRB-ERROR", whole, ""},
		{"one without the server's time", short, "missing-field"},
	} {
		r := newReel()
		r.udp(kdc, clientEnd, tt.message)
		got := strings.Join(r.play(t, decode.Config{}), "\n")
		if has := strings.Contains(got, " odd "); has != (tt.want != "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s: told\n%s\nwant %q", tt.name, got, tt.want)
		}
	}
}
