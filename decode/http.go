package decode

import (
	"kmswatch/decode/auth"
	"kmswatch/decode/rpch"
	"kmswatch/decode/stream"
)

// httpFlow is a flow of ncacn_http: what stands before and between the PDUs.
// The PDUs are those of the flow's association.
type httpFlow struct {
	conn     rpch.Conn
	exchange auth.Exchange // of the HTTP headers
	begun    bool          // tokens went to exchange
	refused  bool          // the last of which there was a word was
}

// http gives bytes to a flow of ncacn_http.
func (s *shard) http(f *flow, dir stream.Dir, b []byte) int {
	s.assoc = f.assoc
	pdus := f.assoc.rpc.PDUs()
	used := f.http.conn.Data(int(dir), b, httpHandler{s})
	s.stats.PDUs += f.assoc.rpc.PDUs() - pdus
	s.learn(f.http.conn.Client())
	return used
}

// httpHandler is the shard as rpch.Handler sees it.
type httpHandler struct{ *shard }

// PDUs meets rpch.Handler.
func (h httpHandler) PDUs(side int, b []byte, _ int) int {
	return h.assoc.rpc.Data(side, b, true, h.point(), rpcHandler(h))
}

// RTS meets rpch.Handler.
func (h httpHandler) RTS(side int, r *rpch.RTS) {
	if h.limits.messages {
		h.rtsMessage.Association, h.rtsMessage.RTS = h.assoc.Association, r
		h.emit(&h.rtsMessage, stream.Dir(side))
	}
}

// Message meets rpch.Handler. The status is the proxy's word on who asked: what
// comes after a refusal without a token is nobody's.
func (h httpHandler) Message(_ int, m *rpch.Message) {
	x := &h.cur.http.exchange
	switch {
	case m.Kind != rpch.Response:
		if h.cur.http.refused {
			h.assoc.Caller = auth.Unverified
		}
		return
	case !h.cur.http.begun || !x.Told():
		return
	case m.Status == 401:
		h.cur.http.begun, h.cur.http.refused = false, true
		x.Accept(false)
	case m.Status == 200:
		x.Accept(true)
	}
	h.assoc.Caller = x.Caller()
}

// Token meets rpch.Handler. Who asks the proxy is who asks on the association,
// unless a verifier says otherwise.
func (h httpHandler) Token(side int, scheme rpch.Scheme, b []byte) {
	f := h.cur
	x := &f.http.exchange
	if !f.http.begun {
		f.http.begun, f.http.refused = true, false
		x.Reset(httpMechanism(scheme))
	}
	client, known := f.http.conn.Client()
	h.token(x, ProtoHTTP, !known || side == client, b)
	h.assoc.Caller = x.Caller()
}

func httpMechanism(s rpch.Scheme) auth.Mechanism {
	switch s {
	case rpch.NTLM:
		return auth.NTLM
	case rpch.Negotiate:
		return auth.Negotiate
	case rpch.Kerberos:
		return auth.Kerberos
	}
	return auth.OtherMechanism
}

// Anomaly meets rpch.Handler.
func (h httpHandler) Anomaly(side int, a rpch.Anomaly, offset int) {
	h.tell(ProtoHTTP, a.String(), false, offset, stream.Dir(side))
}

// beginHTTP makes a flow one of ncacn_http.
func (s *shard) beginHTTP(f *flow) {
	f.carries = carriesHTTP
	f.http = new(httpFlow)
	f.assoc = s.associationOf(f, TransportHTTP)
}
