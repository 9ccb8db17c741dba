package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kmswatch/capture"
	"kmswatch/capture/capturetest"
	"kmswatch/capture/pcapfile"
	"kmswatch/decode"
)

// TestNoSecretIsWritten looks in everything that is written of each capture, and
// in its events, for what is secret in it: passwords, challenges and responses
// of NTLM, what Kerberos encrypted with keys of accounts.
func TestNoSecretIsWritten(t *testing.T) {
	var paths []string
	for _, root := range []string{"../../decode/testdata/captures", "../../../shared/captures"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() && strings.Contains(d.Name(), ".pcap") {
				paths = append(paths, path)
			}
			return err
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	found := make(map[string]int)
	for _, path := range paths {
		all := secretsOf(framesOf(t, path))
		for _, s := range all {
			found[s.what]++
		}
		if len(all) == 0 {
			continue
		}
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			for what, text := range written(t, path) {
				for _, s := range all {
					if form := s.in(text); form != "" {
						t.Errorf("%s has a secret, %s %x, %s", what, s.what, s.bytes, form)
					}
				}
			}
		})
	}
	// A search that finds nothing proves nothing.
	for _, what := range []string{"password of LDAP", "challenge of NTLM", "response of NTLM", "response of SMB 1", "cipher of Kerberos"} {
		if found[what] == 0 {
			t.Errorf("no capture has a %s", what)
		}
	}
	t.Logf("%v", found)
}

func TestSecretsAreFoundInEachForm(t *testing.T) {
	t.Parallel()
	s := secret{"secret", []byte("a secret of 24 bytes, so")}
	for form, text := range map[string]string{
		"as it is":       "so a secret of 24 bytes, so it is",
		"in hexadecimal": "x" + strings.ToUpper(hex.EncodeToString(s.bytes[16:])),
		"in base64":      base64.StdEncoding.EncodeToString(append([]byte("xy"), s.bytes...)),
		"as numbers":     fmt.Sprint(s.bytes[:12]),
		"":               "nothing of the kind",
	} {
		if got := s.in([]byte(text)); got != form {
			t.Errorf("%q: found %q, want %q", text, got, form)
		}
	}
}

// framesOf gives the frames of a capture, as far as it can be read.
func framesOf(t *testing.T, path string) []capture.Frame {
	t.Helper()
	src, err := pcapfile.Open([]string{path}, pcapfile.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	frames, err := capturetest.Drain(src)
	if err != nil {
		t.Fatal(err)
	}
	return frames
}

// written gives all that is written of a capture, by what writes it.
func written(t *testing.T, path string) map[string][]byte {
	t.Helper()
	all := make(map[string][]byte)
	flows := filepath.Join(t.TempDir(), "flows")
	for _, args := range [][]string{
		{"decode"}, {"replay", "--format", "ndjson", "--flows", flows}, {"replay", "--format", "console"},
	} {
		var out, err bytes.Buffer
		run(t.Context(), append(args, path), terminal{in: &bytes.Buffer{}, out: &out, err: &err})
		if args[0] == "decode" && out.Len() == 0 {
			t.Errorf("decode writes nothing: %s", &err)
		}
		all[strings.Join(args, " ")] = append(out.Bytes(), err.Bytes()...)
	}
	records, err := os.ReadFile(flows)
	if err != nil {
		t.Error(err)
	}
	all["flow records"] = records
	var events bytes.Buffer
	e := decode.New(decode.Config{}, handlerFunc(func(e decode.Event) {
		body, err := json.Marshal(e)
		if err != nil {
			t.Error(err)
		}
		fmt.Fprintf(&events, "%s %+v\n", body, e)
	}))
	frames := framesOf(t, path)
	for i := range frames {
		e.Feed(&frames[i])
	}
	e.Close()
	all["events"] = events.Bytes()
	return all
}

type handlerFunc func(decode.Event)

func (f handlerFunc) Handle(e decode.Event) { f(e) }

// secret is what must not be written.
type secret struct {
	what  string
	bytes []byte
}

// in tells in which form a text has the secret, or the first or last eight bytes
// of it.
func (s secret) in(text []byte) string {
	if bytes.Contains(text, s.bytes) {
		return "as it is"
	}
	lower := bytes.ToLower(text)
	const part = 8
	parts := [][]byte{s.bytes}
	if len(s.bytes) > part {
		parts = [][]byte{s.bytes[:part], s.bytes[len(s.bytes)-part:]}
	}
	for _, p := range parts {
		if bytes.Contains(lower, []byte(hex.EncodeToString(p))) {
			return "in hexadecimal"
		}
		if bytes.Contains(text, bytes.Trim(fmt.Append(nil, p), "[]")) {
			return "as numbers"
		}
	}
	// In base64 it may begin at any of three places of a group.
	for skip := range 3 {
		if len(s.bytes) < skip+9 {
			continue
		}
		p := s.bytes[skip:]
		if bytes.Contains(text, []byte(base64.StdEncoding.EncodeToString(p[:9]))) {
			return "in base64"
		}
	}
	return ""
}

// secretsOf finds what is secret in frames, each by itself. What is the same
// byte over and over is none: an empty response, the credential of zerologon.
func secretsOf(frames []capture.Frame) (all []secret) {
	seen := make(map[string]bool)
	add := func(what string, b []byte) {
		if len(b) < 6 || bytes.Count(b, b[:1]) == len(b) || seen[string(b)] {
			return
		}
		seen[string(b)] = true
		all = append(all, secret{what, bytes.Clone(b)})
	}
	for i := range frames {
		b := frames[i].Data
		ntlmSecrets(b, add)
		ldapSecrets(b, add)
		smb1Secrets(b, add)
		kerberosSecrets(b, add)
	}
	return all
}

// after calls do with what stands behind each mark.
func after(b []byte, mark string, do func([]byte)) {
	for {
		i := bytes.Index(b, []byte(mark))
		if i < 0 {
			return
		}
		b = b[i+len(mark):]
		do(b)
	}
}

// ntlmSecrets finds challenges and responses, MS-NLMP 2.2.1.
func ntlmSecrets(b []byte, add func(string, []byte)) {
	const signature = "NTLMSSP\x00"
	after(b, signature+"\x02\x00\x00\x00", func(m []byte) {
		if len(m) >= 20 {
			add("challenge of NTLM", m[12:20])
		}
	})
	after(b, signature+"\x03\x00\x00\x00", func(m []byte) {
		for _, at := range []int{0, 8} { // LmChallengeResponse, NtChallengeResponse
			if len(m) < at+8 {
				return
			}
			n, offset := int(binary.LittleEndian.Uint16(m[at:])), int(binary.LittleEndian.Uint32(m[at+4:]))-12
			if offset >= 0 && offset <= len(m) && n <= len(m)-offset {
				// Of NTLMv2 the proof is the secret; names and times follow.
				add("response of NTLM", m[offset:offset+min(n, 24)])
			}
		}
	})
}

// ldapSecrets finds the passwords of simple binds, RFC 4511 4.2.
func ldapSecrets(b []byte, add func(string, []byte)) {
	after(b, "\x02\x01\x03\x04", func(m []byte) { // version 3, name
		if len(m) == 0 || int(m[0]) >= 0x80 || len(m) < 1+int(m[0])+2 {
			return
		}
		m = m[1+int(m[0]):]
		if n := int(m[1]); m[0] == 0x80 && n < 0x80 && len(m) >= 2+n {
			add("password of LDAP", m[2:2+n])
		}
	})
}

// smb1Secrets finds the responses of a session setup without extended security,
// MS-CIFS 2.2.4.53.1, and the challenge, 2.2.4.52.2.
func smb1Secrets(b []byte, add func(string, []byte)) {
	after(b, "\xffSMB\x73", func(m []byte) {
		const words = 13
		if len(m) < 28+2*words+2 || m[27] != words {
			return
		}
		lm, nt := int(binary.LittleEndian.Uint16(m[28+14:])), int(binary.LittleEndian.Uint16(m[28+16:]))
		if p := m[28+2*words+2:]; lm+nt <= len(p) {
			add("response of SMB 1", p[:lm])
			add("response of SMB 1", p[lm:lm+min(nt, 24)])
		}
	})
	after(b, "\xffSMB\x72", func(m []byte) {
		const words = 17
		if len(m) < 28+2*words+2+8 || m[27] != words || m[28+2*words-1] != 8 {
			return
		}
		add("challenge of SMB 1", m[28+2*words+2:28+2*words+10])
	})
}

// kerberosSecrets finds what is encrypted, RFC 4120 5.2.9, of AES and RC4.
func kerberosSecrets(b []byte, add func(string, []byte)) {
	for _, kind := range []string{"\x11", "\x12", "\x17"} {
		after(b, "\xa0\x03\x02\x01"+kind, func(m []byte) {
			if len(m) > 5 && string(m[:4]) == "\xa1\x03\x02\x01" { // kvno
				m = m[5:]
			}
			if len(m) < 4 || m[0] != 0xa2 {
				return
			}
			m = skipLength(m[1:])
			if len(m) < 2 || m[0] != 4 {
				return
			}
			if m = skipLength(m[1:]); len(m) >= 32 {
				add("cipher of Kerberos", m[:32])
			}
		})
	}
}

// skipLength skips the length of an element of DER.
func skipLength(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	n := 1
	if b[0] > 0x80 {
		n += int(b[0] & 0x7f)
	}
	return b[min(n, len(b)):]
}
