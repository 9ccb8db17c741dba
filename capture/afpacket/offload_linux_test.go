package afpacket_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"testing"

	"kmswatch/capture"
)

// Two hosts that leave the cutting of segments to their cards, as all do, send
// frames far beyond the MTU over a veth pair. All bytes of the stream must come.
func TestSegmentsThatTheHostJoinedComeWhole(t *testing.T) {
	a, b := pair(t, 1500)
	a.IP(t, "addr", "add", "10.0.0.1/24", "dev", "left")
	b.IP(t, "addr", "add", "10.0.0.2/24", "dev", "right")
	carrier(t, a, "left")
	s := open(t, b, small("right"))

	stream := make([]byte, 4<<20)
	for i := range stream {
		stream[i] = byte(i * (i >> 8))
	}
	var server net.Listener
	var err error
	b.Do(func() { server, err = net.Listen("tcp", "10.0.0.2:1688") })
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	received := make(chan error, 1)
	go func() {
		c, err := server.Accept()
		if err == nil {
			_, err = io.Copy(io.Discard, c)
			c.Close()
		}
		received <- err
	}()
	a.Do(func() {
		var c net.Conn
		if c, err = net.Dial("tcp", "10.0.0.2:1688"); err == nil {
			_, err = c.Write(stream)
			c.Close()
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := <-received; err != nil {
		t.Fatal(err)
	}

	got := make([]byte, len(stream))
	first, largest, seen := uint32(0), 0, 0
	frames := make([]capture.Frame, 64)
	for {
		n, err := s.Read(frames)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			break
		}
		for _, f := range frames[:n] {
			b := f.Data
			if len(b) < 54 || b[12] != 8 || b[13] != 0 || b[23] != 6 || !bytes.Equal(b[30:34], []byte{10, 0, 0, 2}) {
				continue // ARP, and the answers
			}
			if f.Length != len(b) {
				t.Errorf("a frame of %d bytes has %d", f.Length, len(b))
			}
			largest = max(largest, len(b))
			seq, flags := binary.BigEndian.Uint32(b[38:]), b[47]
			if flags&2 != 0 {
				first = seq + 1
			}
			if data := b[34+int(b[46]>>4)*4:]; len(data) > 0 {
				if at := int(seq - first); at < len(got) {
					seen += copy(got[at:], data)
				}
			}
		}
	}
	if !bytes.Equal(got, stream) {
		t.Errorf("the stream came with other bytes; %d of them of %d", seen, len(stream))
	}
	if largest <= 1514 {
		t.Errorf("the largest frame has %d bytes, no more than the MTU lets through", largest)
	}
	if st := s.Stats(); st.Truncated != 0 || st.Dropped != 0 {
		t.Errorf("counted %+v", st)
	}
}
