package bpf

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"
)

// Filter is the flow filter in the kernel: its maps, and the programs that were
// attached. Its methods are for any goroutine.
type Filter struct {
	opts   Options
	maps   map[string]*ebpf.Map
	tables *tables

	mu       sync.Mutex
	programs [hooks]*ebpf.Program // loaded when first attached
	trial    *ebpf.Program        // the socket filter as Judge runs it
	stop     chan struct{}
	swept    sync.WaitGroup
}

// IP protocol numbers.
const (
	protoTCP = 6
	protoUDP = 17
)

const (
	defaultFlows = 1 << 16
	maxSnap      = 1 << 16 // the largest record of deliver.h
)

func (o *Options) setDefaults() {
	if o.Flows <= 0 {
		o.Flows = defaultFlows
	}
	if o.Snap <= 0 || o.Snap > maxSnap {
		o.Snap = maxSnap
	}
}

// sweepEvery is how often hints of flows that the kernel forgot are cleared.
const sweepEvery = 30 * time.Second

// Load makes the maps of a filter. Programs are loaded as they are attached.
// It needs CAP_BPF and CAP_NET_ADMIN; before Linux 5.11 a limit of locked memory
// that leaves room.
func Load(o Options) (*Filter, error) {
	o.setDefaults()
	// Only of kernels that count the memory of maps so; the maps tell if it failed.
	_ = rlimit.RemoveMemlock()
	spec, err := loadFlowfilter()
	if err != nil {
		return nil, fmt.Errorf("flow filter: %w", err)
	}
	f := &Filter{opts: o, maps: make(map[string]*ebpf.Map), stop: make(chan struct{})}
	if err := f.size(spec); err != nil {
		return nil, err
	}
	for name, m := range spec.Maps {
		if isConstants(name) {
			continue
		}
		made, err := ebpf.NewMap(m)
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("flow filter: map %s: %w", name, explain(err))
		}
		f.maps[name] = made
	}
	f.tables, err = mapTables(f.maps[flowfilterMapTables].FD(), o.Seed)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("flow filter: map %s: %w", flowfilterMapTables, err)
	}
	for _, p := range o.TCPPorts {
		f.tables.addPort(protoTCP, p)
	}
	for _, p := range o.UDPPorts {
		f.tables.addPort(protoUDP, p)
	}
	f.swept.Go(f.sweeps)
	return f, nil
}

// size sets what the options say of the maps.
func (f *Filter) size(spec *ebpf.CollectionSpec) error {
	spec.Maps[flowfilterMapFlows].MaxEntries = uint32(f.opts.Flows)
	if n := f.opts.Ring; n != 0 {
		if n < os.Getpagesize() || n&(n-1) != 0 || n > 1<<30 {
			return fmt.Errorf("flow filter: a ring of %d bytes: want a power of two from %d to %d", n, os.Getpagesize(), 1<<30)
		}
		spec.Maps[flowfilterMapRing].MaxEntries = uint32(n)
	} else {
		spec.Maps[flowfilterMapRing].MaxEntries = uint32(os.Getpagesize())
	}
	return nil
}

// isConstants tells the maps that hold a program's own constants.
func isConstants(name string) bool { return name != "" && name[0] == '.' }

// program gives the program of a hook, loaded. f.mu is held.
func (f *Filter) program(h Hook) (*ebpf.Program, error) {
	if f.programs[h] == nil {
		p, err := f.load(h, 0)
		if err != nil {
			return nil, err
		}
		f.programs[h] = p
	}
	return f.programs[h], nil
}

// xdpFragments is BPF_F_XDP_HAS_FRAGS: the program takes frames in several buffers.
const xdpFragments = 1 << 5

// load loads the program of a hook. Of the socket filter hidden is how many bytes
// of the link header lie before what it is given.
func (f *Filter) load(h Hook, hidden uint32) (*ebpf.Program, error) {
	fragments := h == XDP
	p, err := f.loadWith(h, hidden, fragments)
	if err != nil && fragments && !errors.Is(err, unix.EPERM) {
		p, err = f.loadWith(h, hidden, false) // before 5.18
	}
	if err != nil {
		return nil, fmt.Errorf("flow filter: %s: %w", h, explain(err))
	}
	return p, nil
}

func (f *Filter) loadWith(h Hook, hidden uint32, fragments bool) (*ebpf.Program, error) {
	spec, err := loadFlowfilter()
	if err != nil {
		return nil, err
	}
	if err := f.size(spec); err != nil {
		return nil, err
	}
	name := [hooks]string{flowfilterProgFlowSocket, flowfilterProgFlowXdp, flowfilterProgFlowTcx}[h]
	for other := range spec.Programs {
		if other != name {
			delete(spec.Programs, other)
		}
	}
	if fragments {
		spec.Programs[name].Flags |= xdpFragments
	}
	const drop, pass = 1, 2 // XDP_DROP, XDP_PASS
	action := uint32(pass)
	if f.opts.Drop {
		action = drop
	}
	for constant, value := range map[string]any{
		flowfilterVarSeed:         f.opts.Seed,
		flowfilterVarRawIp:        flag(f.opts.RawIP),
		flowfilterVarLinkHidden:   hidden,
		flowfilterVarSnap:         uint32(f.opts.Snap),
		flowfilterVarXdpFragments: flag(fragments),
		flowfilterVarHandOver:     flag(f.opts.Ring != 0),
		flowfilterVarXdpAction:    action,
	} {
		if err := spec.Variables[constant].Set(value); err != nil {
			return nil, fmt.Errorf("constant %s: %w", constant, err)
		}
	}
	c, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{MapReplacements: f.maps})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.DetachProgram(name), nil
}

func flag(on bool) uint8 {
	if on {
		return 1
	}
	return 0
}

// Watch lets all frames of a flow pass. Where the kernel's table of flows is full
// it forgets the flow that was silent the longest.
func (f *Filter) Watch(w Flow) error { return f.set(w, actionWatch) }

// Ignore lets the frames of a flow go, also where a port of interest would let
// them pass. Its SYN, FIN and RST pass all the same, and a SYN makes an end of
// ignoring.
func (f *Filter) Ignore(w Flow) error { return f.set(w, actionIgnore) }

// What the map of flows holds: enum action of maps.h.
const (
	actionWatch  uint32 = 1
	actionIgnore uint32 = 2
)

func (f *Filter) set(w Flow, action uint32) error {
	key, err := keyOf(w)
	if err != nil {
		return err
	}
	if err := f.maps[flowfilterMapFlows].Put(&key, action); err != nil {
		return fmt.Errorf("flow filter: flow %v %v: %w", w.A, w.B, explain(err))
	}
	f.tables.hint(&key)
	return nil
}

// WatchPort lets all frames from or to a port pass.
func (f *Filter) WatchPort(proto uint8, port uint16) error {
	if proto != protoTCP && proto != protoUDP {
		return fmt.Errorf("flow filter: protocol %d has no ports of interest", proto)
	}
	f.tables.addPort(proto, port)
	return nil
}

// Both sides know the same verdicts.
var _ = [Verdicts]struct{}{} == [len(flowfilterCpu{}.Verdicts)]struct{}{}

// Counters gives what became of all frames since Load.
func (f *Filter) Counters() (Counters, error) {
	var all Counters
	var cpus []flowfilterCpu
	if err := f.maps[flowfilterMapCpus].Lookup(uint32(0), &cpus); err != nil {
		return all, fmt.Errorf("flow filter: counters: %w", err)
	}
	for i := range cpus {
		for v := range all {
			all[v].Frames += cpus[i].Verdicts[v].Frames
			all[v].Bytes += cpus[i].Verdicts[v].Bytes
		}
	}
	return all, nil
}

// Judge runs the program of a hook over one Ethernet frame as if it had come in,
// and gives its verdict; it counts and is remembered as any. Other frames must not
// come in meanwhile. Of frames that end before their IP header does the kernel
// refuses to make socket buffers, with EINVAL, and XDP takes none below 14 bytes.
func (f *Filter) Judge(h Hook, frame []byte) (Verdict, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p, err := f.trialOf(h)
	if err != nil {
		return 0, err
	}
	before, err := f.Counters()
	if err != nil {
		return 0, err
	}
	if _, err := p.Run(&ebpf.RunOptions{Data: frame}); err != nil {
		return 0, fmt.Errorf("flow filter: run %s: %w", h, err)
	}
	after, err := f.Counters()
	if err != nil {
		return 0, err
	}
	for v := range Verdicts {
		if after[v].Frames != before[v].Frames {
			return v, nil
		}
	}
	return 0, fmt.Errorf("flow filter: run %s: no verdict was counted", h)
}

// trialOf gives the program that a test run takes for a hook: a socket filter is
// then given frames without their link header. f.mu is held.
func (f *Filter) trialOf(h Hook) (*ebpf.Program, error) {
	if h != Socket {
		return f.program(h)
	}
	if f.trial == nil {
		const ethernet = 14
		p, err := f.load(Socket, ethernet)
		if err != nil {
			return nil, err
		}
		f.trial = p
	}
	return f.trial, nil
}

// Close lets go of maps and programs. What is attached keeps them until it is
// detached, or its socket is closed.
func (f *Filter) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	select {
	case <-f.stop:
		return nil
	default:
	}
	close(f.stop)
	f.swept.Wait()
	var errs []error
	for h, p := range f.programs {
		if p != nil {
			errs = append(errs, p.Close())
			f.programs[h] = nil
		}
	}
	if f.trial != nil {
		errs = append(errs, f.trial.Close())
	}
	for _, m := range f.maps {
		errs = append(errs, m.Close())
	}
	if f.tables != nil {
		errs = append(errs, f.tables.unmap())
	}
	return errors.Join(errs...)
}

// sweeps clears stale hints from time to time until Close.
func (f *Filter) sweeps() {
	t := time.NewTicker(sweepEvery)
	defer t.Stop()
	for {
		select {
		case <-f.stop:
			return
		case <-t.C:
			// A sweep that fails leaves hints as they were: slower, not wrong.
			_ = f.sweep()
		}
	}
}

// sweep clears the hints of flows that the map no longer has.
func (f *Filter) sweep() error {
	before := f.tables.snapshot()
	var (
		known  hintSet
		cursor ebpf.MapBatchCursor
		keys   = make([]flowfilterFlowKey, 1024)
		values = make([]uint32, len(keys))
	)
	for {
		n, err := f.maps[flowfilterMapFlows].BatchLookup(&cursor, keys, values, nil)
		for i := range keys[:n] {
			known.add(f.tables.hash(&keys[i]))
		}
		if errors.Is(err, ebpf.ErrKeyNotExist) {
			break
		}
		if err != nil {
			return fmt.Errorf("flow filter: flows: %w", err)
		}
	}
	f.tables.clear(before, &known)
	return nil
}

// explain adds to what the kernel refused what it needs.
func explain(err error) error {
	switch {
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("%w: needs CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON, before Linux 5.8 CAP_SYS_ADMIN", err)
	case errors.Is(err, unix.ENOMEM):
		return fmt.Errorf("%w: not enough memory, or more than may be locked (ulimit -l)", err)
	}
	return err
}
