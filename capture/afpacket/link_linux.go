package afpacket

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"kmswatch/capture"
)

// State is what can be said of an interface.
type State uint8

const (
	Up        State = iota // frames can come
	NoCarrier              // it is up, but the cable or the other end is not
	Down                   // it was set down
	Gone                   // it was deleted or moved away; one of its name is waited for
)

// String gives the state in words.
func (s State) String() string {
	return [...]string{"up", "without carrier", "down", "gone"}[s]
}

// Change tells that an interface is not as it was.
type Change struct {
	Interface string // as it was opened
	Name      string // by which it goes now; differs where it was renamed
	State     State
	Err       error // why it could not be opened again though it is back; the state is Gone then
}

// String is one line.
func (c Change) String() string {
	switch {
	case c.Err != nil:
		return fmt.Sprintf("interface %s: is back and cannot be opened: %v", c.Interface, c.Err)
	case c.Name != c.Interface:
		return fmt.Sprintf("interface %s: is now called %s and is %v", c.Interface, c.Name, c.State)
	default:
		return fmt.Sprintf("interface %s: is %v", c.Interface, c.State)
	}
}

// Link tells how the frames of an interface begin, for who makes a filter for it.
func Link(name string) (capture.LinkType, error) {
	l := links{fd: -1}
	err := l.open()
	defer l.close()
	var f form
	if err == nil {
		_, f, err = l.find(name)
	}
	if err != nil {
		return 0, fmt.Errorf("interface %s: %w", name, err)
	}
	return f.link, nil
}

// links asks about interfaces, in the network namespace it was opened in, and
// hears when one changes.
type links struct{ fd int }

func (l *links) open() (err error) {
	l.fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err == nil {
		err = unix.Bind(l.fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: unix.RTMGRP_LINK})
	}
	if err != nil {
		return fmt.Errorf("netlink: %w", err)
	}
	return nil
}

func (l *links) close() {
	if l.fd >= 0 {
		unix.Close(l.fd)
		l.fd = -1
	}
}

// drain takes what was told. It is not read: that something changed is enough,
// and also follows from there being too much of it.
func (l *links) drain() {
	var b [64]byte
	for {
		_, err := unix.Read(l.fd, b[:])
		if err != nil && err != unix.ENOBUFS && err != unix.EINTR {
			return
		}
	}
}

// form is how the frames of an interface come.
type form struct {
	link  capture.LinkType
	twice bool // once outgoing, once incoming: the loopback
}

// find gives an interface's index and the form of its frames.
func (l *links) find(name string) (index int, form form, err error) {
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return 0, form, fmt.Errorf("no name of an interface: %w", err)
	}
	if err := unix.IoctlIfreq(l.fd, unix.SIOCGIFHWADDR, ifr); err != nil {
		return 0, form, err
	}
	hardware := ifr.Uint16() // the family of the address
	switch hardware {
	case unix.ARPHRD_ETHER:
		form.link = capture.LinkEthernet
	case unix.ARPHRD_LOOPBACK:
		form.link, form.twice = capture.LinkEthernet, true
	case unix.ARPHRD_NONE, unix.ARPHRD_RAWIP, unix.ARPHRD_PPP:
		form.link = capture.LinkRaw
	default:
		return 0, form, fmt.Errorf("link of hardware type %d is not supported: want Ethernet, loopback, or raw IP as of tun, WireGuard and PPP", hardware)
	}
	if err := unix.IoctlIfreq(l.fd, unix.SIOCGIFINDEX, ifr); err != nil {
		return 0, form, err
	}
	return int(ifr.Uint32()), form, nil
}

// state gives the name and the state of the interface of an index.
func (l *links) state(index int) (string, State) {
	ifr, err := unix.NewIfreq("")
	if err != nil {
		return "", Gone
	}
	ifr.SetUint32(uint32(index))
	if err := unix.IoctlIfreq(l.fd, unix.SIOCGIFNAME, ifr); err != nil {
		return "", Gone
	}
	name := ifr.Name()
	if err := unix.IoctlIfreq(l.fd, unix.SIOCGIFFLAGS, ifr); err != nil {
		return "", Gone
	}
	switch flags := ifr.Uint16(); {
	case flags&unix.IFF_UP == 0:
		return name, Down
	case flags&unix.IFF_RUNNING == 0:
		return name, NoCarrier
	default:
		return name, Up
	}
}

// watch remembers the interface and what was last told of it.
type watch struct {
	index int           // it is bound to; 0 while it is gone
	told  Change        // last
	pause time.Duration // before the next attempt to open it again, once one failed
	retry time.Time     // of that attempt, at the earliest
}

// Pauses between attempts to open an interface again.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 10 * time.Second
)

// look finds out how the interface is, tells what changed, and opens it again
// where it was gone and is back.
func (s *Source) look() {
	w := &s.watch
	if w.index != 0 {
		name, state := s.links.state(w.index)
		if s.rings[0].unbound() {
			state = Gone
		}
		if state != Gone {
			s.tell(Change{Name: name, State: state})
			return
		}
		s.tell(Change{Name: s.opts.Interface, State: Gone})
		w.index = 0
		w.pause = firstPause
		// What came last is handed over first.
		w.retry = time.Now().Add(2 * s.opts.BlockTimeout)
	}
	if time.Now().Before(w.retry) {
		return
	}
	if _, _, err := s.links.find(s.opts.Interface); err == unix.ENODEV {
		return
	}
	if err := s.bindAgain(); err != nil {
		s.tell(Change{Name: s.opts.Interface, State: Gone, Err: err})
		w.retry = time.Now().Add(w.pause)
		w.pause = min(2*w.pause, lastPause)
		return
	}
	name, state := s.links.state(w.index)
	s.tell(Change{Name: name, State: state})
}

// bindAgain is bind for an interface that came back. A ring can be bound anew,
// which needs no rights; one in a fanout group cannot.
func (s *Source) bindAgain() error {
	if len(s.rings) != 1 {
		if err := s.makeRings(); err != nil {
			return err
		}
	}
	return s.bind()
}

// Trouble says why no frames can come: the interface is not up. It is empty when
// they can.
func (s *Source) Trouble() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch told := &s.watch.told; {
	case told.Err != nil:
		return fmt.Sprintf("it is back and cannot be opened: %v", told.Err)
	case told.State != Up:
		return "it is " + told.State.String()
	}
	return ""
}

// tell passes on what is news.
func (s *Source) tell(c Change) {
	c.Interface = s.opts.Interface
	last := &s.watch.told
	if c.Name == last.Name && c.State == last.State && (c.Err == nil) == (last.Err == nil) {
		return
	}
	*last = c
	if s.opts.Notify != nil {
		s.opts.Notify(c)
	}
}
