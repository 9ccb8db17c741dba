package software

import (
	"errors"
	"io"
	"os"
	"testing"

	"kmswatch/capture"
	"kmswatch/capture/pcapfile"
	"kmswatch/decode/dcerpc"
	"kmswatch/decode/ncadg"
	"kmswatch/decode/packet"
)

func TestDatagrams(t *testing.T) {
	h := ncadg.Header{
		Type: dcerpc.TypeRequest, BigEndian: true, Flags1: ncadg.FlagIdempotent, InterfaceHint: 0xffff, ActivityHint: 0xffff,
		Activity:  dcerpc.MustUUID("13142f90-0000-1000-a994-d2106890ca5a"),
		Interface: dcerpc.Syntax{UUID: dcerpc.MustUUID("dea00001-6c97-11d1-8271-00a02442df7d"), Major: 1},
	}
	f := Datagram(&h)
	if f.Text() != "d,request,be,00,00,none,none,*,0,1" {
		t.Error(f.Text())
	}
	if name, confidence := DatagramName(&h); name != Profinet || confidence == 0 {
		t.Error(name)
	}
	t.Run("the call changes nothing", func(t *testing.T) {
		x := h
		x.Flags1, x.Flags2 = ncadg.FlagMaybe|ncadg.FlagFrag|ncadg.FlagLastFrag, ncadg.Flag2Unrelated
		x.Seq, x.Opnum, x.Length, x.Interface.UUID[3] = 5, 6, 7, 9
		if Datagram(&x) != f {
			t.Error("it does")
		}
		if name, _ := DatagramName(&x); name != "" {
			t.Error(name)
		}
	})
	t.Run("habits do", func(t *testing.T) {
		x := h
		x.Flags1, x.ActivityHint, x.InterfaceHint, x.ServerBoot, x.Serial, x.Activity[8], x.BigEndian = ncadg.FlagNoFack, 0, 3, 1, 1, 0, false
		if f := Datagram(&x); f.Text() != "d,request,le,08,00,n,0,*,n,-" {
			t.Error(f.Text())
		}
		x.Type, x.Flags1 = dcerpc.TypeResponse, ncadg.FlagLastFrag|ncadg.FlagIdempotent
		if f := Datagram(&x); f.Text() != "d,response,le,22,00,n,0,n,n,-" {
			t.Error(f.Text())
		}
	})
	t.Run("other types have none", func(t *testing.T) {
		if f := Datagram(&ncadg.Header{Type: dcerpc.TypePing}); f.Known() || f.Hash() != "" {
			t.Error(f.Text())
		}
	})
}

// TestProfinetCaptures: the stacks of several vendors differ.
func TestProfinetCaptures(t *testing.T) {
	const path = "../../../shared/captures/icsnpp-profinet-io-cm/profinet_io_cm_control.pcapng"
	if _, err := os.Stat(path); err != nil {
		t.Skip("the capture is not there")
	}
	src, err := pcapfile.Open([]string{path}, pcapfile.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	d := packet.New(packet.Config{})
	frames := make([]capture.Frame, 16)
	texts := map[string]int{}
	for {
		k, err := src.Read(frames)
		for i := range frames[:k] {
			var p packet.Packet
			var h ncadg.Header
			d.Decode(&frames[i], &p)
			if p.Proto != packet.ProtoUDP || ncadg.Probe(p.Payload) != dcerpc.Match || h.Decode(p.Payload) != 0 {
				continue
			}
			f := Datagram(&h)
			texts[f.Text()]++
			if name, _ := DatagramName(&h); f.Known() && name != Profinet {
				t.Errorf("%s is %q", f.Text(), name)
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for text, n := range texts {
		t.Log(text, n)
	}
	if len(texts) < 4 {
		t.Errorf("%d fingerprints", len(texts))
	}
}
