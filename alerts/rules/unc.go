package rules

import (
	"net/netip"
	"strings"

	"kmswatch/alerts"
	"kmswatch/decode"
)

// uncHost gives the host that a path names, "" for a path that names none:
// \\host\share\file, with slashes of either kind, \\?\UNC\host\share (MS-DTYP
// 2.2.57), and \\host@SSL@443\share, by which Windows asks over HTTP. Of
// \\.\pipe\x and \\?\C:\x the host is the one that is asked.
func uncHost(path string) string {
	slash := func(c byte) bool { return c == '\\' || c == '/' }
	if len(path) < 3 || !slash(path[0]) || !slash(path[1]) {
		return ""
	}
	path = path[2:]
	if len(path) > 1 && (path[0] == '?' || path[0] == '.') && slash(path[1]) {
		path = path[2:]
		if len(path) < 4 || !strings.EqualFold(path[:3], "UNC") || !slash(path[3]) {
			return ""
		}
		path = path[4:]
	}
	if i := strings.IndexAny(path, `\/@`); i >= 0 {
		path = path[:i]
	}
	return path
}

// hostAddress gives the address that a host is named by, the zero Addr where it
// is a name. What has no look of an address is not tried: the error would cost.
func hostAddress(host string) netip.Addr {
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if strings.IndexByte(host, ':') < 0 && strings.Trim(host, "0123456789.") != "" {
		return netip.Addr{}
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	return a
}

// relation is what a named host is to the server that is asked.
type relation uint8

const (
	another  relation = iota
	itself            // by its address, or by what others call it
	soCalled          // by what this client calls it, which may be a pretext
)

// called remembers by what names clients call servers, from the paths of the
// shares that they connect to: no name in a packet is proof, but others than
// the client that is judged have no reason to lie for it.
type called struct {
	servers *alerts.Recent[netip.Addr, [calledNames]calledName]
}

const calledNames = 4 // of a server, the latest

type calledName struct {
	host string
	by   netip.Addr
}

func newCalled() called {
	return called{alerts.NewRecent[netip.Addr, [calledNames]calledName](4096)}
}

// learn learns from a share that a server gave.
func (k called) learn(c *alerts.Context, e *decode.TreeConnect) {
	host := uncHost(e.Path)
	if e.Outcome != decode.Accepted || host == "" {
		return
	}
	names, _ := k.servers.Put(c.Server.Addr)
	for i := range names {
		if strings.EqualFold(names[i].host, host) {
			if names[i].by != c.Client.Addr {
				names[i].by = netip.Addr{} // of several
			}
			return
		}
	}
	copy(names[1:], names[:])
	names[0] = calledName{strings.Clone(host), c.Client.Addr}
}

// of tells what a named host is to the server that is asked.
func (k called) of(c *alerts.Context, host string) relation {
	if a := hostAddress(host); a.IsValid() {
		if a.IsLoopback() || a.Unmap().WithZone("") == c.Server.Addr.Unmap().WithZone("") {
			return itself
		}
		return another
	}
	if host == "." || strings.EqualFold(host, "localhost") {
		return itself
	}
	if names := k.servers.Get(c.Server.Addr); names != nil {
		for i := range names {
			if n := &names[i]; n.host != "" && (sameHost(n.host, host) || sameHost(host, n.host)) {
				if n.by == c.Client.Addr {
					return soCalled
				}
				return itself
			}
		}
	}
	return another
}
