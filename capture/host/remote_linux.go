package host

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Remote is Owners in another process, so that the sensor, which decodes what
// strangers send, need not hold the right to look into all processes. Its methods
// are for any goroutine.
type Remote struct {
	mu      sync.Mutex
	conn    *os.File
	process *exec.Cmd
	broken  bool // an answer did not come, so that the next may be of another question
}

// remoteFile is the descriptor by which the other process is asked.
const remoteFile = 3

// patience is how long an answer may take.
const patience = 2 * time.Second

// StartRemote starts a process, whose main function is to call ServeRemote. It
// ends when the Remote is closed or the process that started it ends.
func StartRemote(c *exec.Cmd) (*Remote, error) {
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("ask another process for sockets: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(ends[0]), "socketpair"), os.NewFile(uintptr(ends[1]), "socketpair")
	c.ExtraFiles = []*os.File{theirs} // from descriptor 3 on
	err = c.Start()
	theirs.Close()
	if err != nil {
		ours.Close()
		return nil, fmt.Errorf("ask another process for sockets: %w", err)
	}
	return &Remote{conn: ours, process: c}, nil
}

// Find is that of Owners. It reports false also when the other process does not
// answer.
func (r *Remote) Find(proto uint8, local, remote netip.AddrPort) (Process, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.broken {
		return Process{}, false
	}
	q := question{proto: proto, local: local, remote: remote}.bytes()
	var a [answerSize]byte
	err := r.conn.SetDeadline(time.Now().Add(patience))
	if err == nil {
		_, err = r.conn.Write(q[:])
	}
	if err == nil {
		_, err = io.ReadFull(r.conn, a[:])
	}
	if err != nil {
		r.broken = true
		return Process{}, false
	}
	return process(&a)
}

// Close ends the other process.
func (r *Remote) Close() error {
	r.mu.Lock()
	r.broken = true
	r.mu.Unlock()
	err := r.conn.Close()
	var exit *exec.ExitError
	if e := r.process.Wait(); e != nil && !errors.As(e, &exit) && err == nil {
		err = e
	}
	return err
}

// ServeRemote answers the Remote of the process that started this one, until that
// is closed.
func ServeRemote(o *Owners) error {
	conn := os.NewFile(remoteFile, "socketpair")
	defer conn.Close()
	for {
		var b [questionSize]byte
		if _, err := io.ReadFull(conn, b[:]); err != nil {
			if err == io.EOF {
				return nil
			}
			return fmt.Errorf("answer for sockets: %w", err)
		}
		q := asked(&b)
		a := answer(o.Find(q.proto, q.local, q.remote))
		if _, err := conn.Write(a[:]); err != nil {
			return fmt.Errorf("answer for sockets: %w", err)
		}
	}
}

// question is what Find is asked: the protocol, then the endpoints, addresses as
// of IPv6 and ports.
type question struct {
	proto         uint8
	local, remote netip.AddrPort
}

const questionSize = 1 + 2*18

func (q question) bytes() (b [questionSize]byte) {
	b[0] = q.proto
	for i, e := range [...]netip.AddrPort{q.local, q.remote} {
		at := b[1+18*i:][:18]
		if e.Addr().IsValid() {
			a := e.Addr().As16()
			copy(at, a[:])
		}
		binary.BigEndian.PutUint16(at[16:], e.Port())
	}
	return b
}

func asked(b *[questionSize]byte) question {
	endpoint := func(b []byte) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(b)).Unmap(), binary.BigEndian.Uint16(b[16:]))
	}
	return question{proto: b[0], local: endpoint(b[1:]), remote: endpoint(b[19:])}
}

// answerSize is that of a process: its id, the length of its name, and that. An
// id of 0 says that it is not known.
const answerSize = 4 + 1 + 64

func answer(p Process, known bool) (b [answerSize]byte) {
	if known {
		binary.BigEndian.PutUint32(b[:], uint32(p.ID))
		b[4] = byte(copy(b[5:], p.Name))
	}
	return b
}

func process(b *[answerSize]byte) (Process, bool) {
	id := binary.BigEndian.Uint32(b[:])
	if id == 0 || b[4] > answerSize-5 {
		return Process{}, false
	}
	return Process{ID: int(id), Name: string(b[5:][:b[4]])}, true
}
