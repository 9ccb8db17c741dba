package netns

import (
	"errors"
	"runtime"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Sender sends frames as they are through an interface.
type Sender struct {
	fd  int
	cpu int
}

// Sender gives a sender for an interface of the namespace, which must be up and
// soon have a carrier. It is closed at the end of the test. All that it sends it sends from one CPU, the first that the process
// may use, as a veth pair would otherwise not keep the order.
func (s *Space) Sender(t testing.TB, name string) *Sender {
	t.Helper()
	out := &Sender{fd: -1}
	var err error
	s.Do(func() { out.fd, err = openSender(name) })
	if err != nil {
		t.Fatalf("send on %s: %v", name, err)
	}
	t.Cleanup(func() { unix.Close(out.fd) })
	if err := awaitCarrier(out.fd, name); err != nil {
		t.Fatalf("send on %s: %v", name, err)
	}
	// The kernel still holds its lock while it makes the interface ready to send.
	s.IP(t, "link", "set", name, "up")
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		t.Fatal(err)
	}
	for !set.IsSet(out.cpu) {
		out.cpu++
	}
	return out
}

func openSender(name string) (int, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	ifr, err := unix.NewIfreq(name)
	if err == nil {
		err = unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, ifr)
	}
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: int(ifr.Uint32())})
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// awaitCarrier waits until an interface has a carrier. Until then the kernel drops
// what is sent, without a word.
func awaitCarrier(fd int, name string) error {
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, ifr); err != nil {
			return err
		}
		if ifr.Uint16()&unix.IFF_RUNNING != 0 {
			return nil
		}
	}
	return errors.New("no carrier")
}

// Send sends the frames in their order.
func (s *Sender) Send(t testing.TB, frames ...[]byte) {
	t.Helper()
	var err error
	onThread(func() {
		if err = s.pin(); err != nil {
			return
		}
		for _, f := range frames {
			if _, err = unix.Write(s.fd, f); err != nil {
				return
			}
		}
	})
	if err != nil {
		t.Fatalf("send: %v", err)
	}
}

// Flood sends the frames again and again, as fast as the kernel takes them, as
// long as goOn says so: it is asked before each round with the number sent so
// far. It gives the number sent.
func (s *Sender) Flood(frames [][]byte, goOn func(sent int) bool) (sent int, err error) {
	type message struct {
		unix.Msghdr
		n uint32
	}
	messages := make([]message, len(frames))
	parts := make([]unix.Iovec, len(frames))
	for i, f := range frames {
		parts[i].Base = &f[0]
		parts[i].SetLen(len(f))
		messages[i].Iov = &parts[i]
		messages[i].SetIovlen(1)
	}
	onThread(func() {
		// The shorter way, which passes the sender's own taps by.
		if err = unix.SetsockoptInt(s.fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1); err != nil {
			return
		}
		if err = s.pin(); err != nil {
			return
		}
		for goOn(sent) {
			for at := 0; at < len(messages); {
				n, _, e := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&messages[at])), uintptr(len(messages)-at), 0, 0, 0)
				if e == unix.EINTR {
					continue
				}
				if e != 0 {
					err = e
					return
				}
				at += int(n)
				sent += int(n)
			}
		}
	})
	runtime.KeepAlive(frames)
	return sent, err
}

// pin keeps the thread on the sender's CPU.
func (s *Sender) pin() error {
	var set unix.CPUSet
	set.Set(s.cpu)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return errors.Join(errors.New("pin to a CPU"), err)
	}
	return nil
}
