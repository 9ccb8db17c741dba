// Package kafkatest runs a Kafka broker for tests: Apache Kafka itself, as
// .ci/kafka fetches it, on loopback.
package kafkatest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// Versions are those that tests run against.
var Versions = []string{"3.9.1", "4.1.1"}

// Broker is a broker of its own, with no topics. It makes none by itself.
type Broker struct {
	Plain string // address in clear
	TLS   string // with TLS, for clients that have a certificate
	SASL  string // in clear, with PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512 of User

	User, Password string
	Authority      *Authority // of its certificate and of its clients'

	Fake    bool           // it stands for Apache Kafka, and has the first address alone
	Cluster *kfake.Cluster // iff Fake and running

	t    testing.TB
	dir  string
	jars string
	java *exec.Cmd
	log  *os.File
}

// insteadOf is the variable that has kfake stand for Apache Kafka, if it is kfake.
const insteadOf = "KMSWATCH_KAFKA"

// Start starts a broker and stops it at the end of the test. Where Java or the
// jars are not there it is one that stands for it, and that is said; under CI it
// fails.
func Start(t testing.TB, version string) *Broker {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("left out: Apache Kafka runs beside tests on Linux")
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	jars := filepath.Join(cache, "kmswatch", "kafka-"+version)
	_, missing := exec.LookPath("java")
	if missing == nil {
		_, missing = os.Stat(jars)
	}
	switch {
	case os.Getenv(insteadOf) == "kfake":
		t.Logf("left out: Apache Kafka %s: kfake stands for it, as %s asks", version, insteadOf)
		return StartFake(t)
	case missing != nil && os.Getenv("CI") != "":
		t.Fatalf("a broker is a must here: %v", missing)
	case missing != nil:
		t.Logf("left out: Apache Kafka %s, which .ci/kafka fetches and Java runs: kfake stands for it (%v)", version, missing)
		return StartFake(t)
	}
	b := &Broker{
		t: t, jars: jars, dir: t.TempDir(), User: "sensor", Password: "a broker's secret",
		Authority: NewAuthority(t, "authority of the broker"),
	}
	ports := freePorts(t, 4)
	b.Plain, b.TLS, b.SASL = ports[0], ports[1], ports[2]
	b.write("broker.pem", b.Authority.issue("127.0.0.1"))
	b.write("authority.pem", b.Authority.PEM)
	b.write("broker.properties", []byte(fmt.Sprintf(`process.roles=broker,controller
node.id=1
controller.quorum.voters=1@%[4]s
controller.listener.names=CONTROLLER
listeners=PLAIN://%[1]s,TLS://%[2]s,SASL://%[3]s,CONTROLLER://%[4]s
advertised.listeners=PLAIN://%[1]s,TLS://%[2]s,SASL://%[3]s
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAIN:PLAINTEXT,TLS:SSL,SASL:SASL_PLAINTEXT
inter.broker.listener.name=PLAIN
log.dirs=%[5]s/data
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=3
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
ssl.keystore.type=PEM
ssl.keystore.location=%[5]s/broker.pem
ssl.truststore.type=PEM
ssl.truststore.location=%[5]s/authority.pem
ssl.client.auth=required
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.sasl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_%[6]s="%[7]s";
listener.name.sasl.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
`, b.Plain, b.TLS, b.SASL, ports[3], b.dir, b.User, b.Password)))
	format := []string{"kafka.tools.StorageTool", "format", "-t", "a21zd2F0Y2gtdGVzdHM0Mg", "-c", filepath.Join(b.dir, "broker.properties")}
	for _, m := range []string{"SCRAM-SHA-256", "SCRAM-SHA-512"} {
		format = append(format, "--add-scram", fmt.Sprintf("%s=[name=%s,password=%s]", m, b.User, b.Password))
	}
	if out, err := b.command(format...).CombinedOutput(); err != nil {
		t.Fatalf("format the broker's folder: %v\n%s", err, out)
	}
	t.Cleanup(b.Kill)
	b.Run()
	return b
}

// Run starts the broker that Stop or Kill ended, and waits until it answers.
func (b *Broker) Run() {
	b.t.Helper()
	if b.Fake {
		b.runFake()
		return
	}
	var err error
	if b.log, err = os.OpenFile(filepath.Join(b.dir, "broker.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
		b.t.Fatal(err)
	}
	b.java = b.command("kafka.Kafka", filepath.Join(b.dir, "broker.properties"))
	b.java.Stdout, b.java.Stderr = b.log, b.log
	if err := b.java.Start(); err != nil {
		b.t.Fatal(err)
	}
	for range 600 {
		c, err := net.DialTimeout("tcp", b.Plain, time.Second)
		if err == nil {
			c.Close()
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	text, _ := os.ReadFile(b.log.Name())
	b.t.Fatalf("the broker does not answer after a minute: %s", tail(text))
}

// Stop ends the broker in order.
func (b *Broker) Stop() { b.end(syscall.SIGTERM) }

// Kill ends the broker at once.
func (b *Broker) Kill() { b.end(syscall.SIGKILL) }

func (b *Broker) end(with syscall.Signal) {
	if b.Cluster != nil {
		b.Cluster.Close()
		b.Cluster = nil
		return
	}
	if b.java == nil {
		return
	}
	_ = b.java.Process.Signal(with)
	_ = b.java.Wait()
	b.log.Close()
	b.java = nil
}

// Java runs a program of Kafka's and gives what it printed.
func (b *Broker) Java(t testing.TB, args ...string) []byte {
	t.Helper()
	if b.Fake {
		t.Skip("left out: what is Apache Kafka's own")
	}
	out, err := b.command(args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", args[0], err, out)
	}
	return out
}

// command is a Java program of Kafka's.
func (b *Broker) command(args ...string) *exec.Cmd {
	java := []string{"-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", filepath.Join(b.jars, "*")}
	cmd := exec.Command("java", append(java, args...)...)
	dieWithTest(cmd)
	return cmd
}

func (b *Broker) write(name string, data []byte) {
	b.t.Helper()
	if err := os.WriteFile(filepath.Join(b.dir, name), data, 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// Record is a record as kcat reads it.
type Record struct {
	Partition, Key, Value string
	Headers               map[string]string
}

// Read gives all records of a topic, as kcat reads them: a consumer that is none
// of ours.
func (b *Broker) Read(topic string) []Record {
	b.t.Helper()
	if _, err := exec.LookPath("kcat"); err != nil {
		if b.Fake {
			return b.readFake(topic)
		}
		if os.Getenv("CI") != "" {
			b.t.Fatal("kcat is a must here")
		}
		b.t.Skip("left out: what kcat reads, which is not installed (apt install kcat)")
	}
	// Fields end with bytes that are in no record of the tests.
	cmd := exec.Command("kcat", "-q", "-C", "-b", b.Plain, "-t", topic, "-o", "beginning", "-e", "-f", "%p\x1f%k\x1f%h\x1f%s\x1e")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		b.t.Fatalf("kcat: %v: %s", err, errs.Bytes())
	}
	var records []Record
	for _, text := range strings.Split(string(out), "\x1e") {
		f := strings.Split(text, "\x1f")
		if len(f) != 4 {
			continue
		}
		r := Record{Partition: f[0], Key: f[1], Value: f[3], Headers: make(map[string]string)}
		for _, h := range strings.Split(f[2], ",") {
			if name, value, ok := strings.Cut(h, "="); ok {
				r.Headers[name] = value
			}
		}
		records = append(records, r)
	}
	return records
}

func tail(b []byte) []byte { return b[max(0, len(b)-2000):] }

// freePorts gives addresses of loopback that nobody listens on.
func freePorts(t testing.TB, n int) (addresses []string) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		addresses = append(addresses, l.Addr().String())
	}
	return addresses
}

// Authority signs certificates.
type Authority struct {
	PEM  []byte
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	t    testing.TB
}

// NewAuthority makes an authority that nobody trusts yet.
func NewAuthority(t testing.TB, name string) *Authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &Authority{PEM: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), cert: cert, key: key, t: t}
}

// issue gives a key and a certificate for an address, as PEM.
func (a *Authority) issue(address string) []byte {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "kmswatch"},
		IPAddresses: []net.IP{net.ParseIP(address)},
		NotBefore:   time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
}

// Client is what a client says of itself and whom it trusts.
func (a *Authority) Client(trusts *Authority) *tls.Config {
	a.t.Helper()
	both := a.issue("127.0.0.1")
	pair, err := tls.X509KeyPair(both, both)
	if err != nil {
		a.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(trusts.cert)
	return &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: pool, MinVersion: tls.VersionTLS12}
}
