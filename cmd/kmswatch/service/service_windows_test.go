package service

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/windows/svc/mgr"
)

// asService is the first argument of this test where it runs as the service that
// TestService installs; the second is the file that the service writes to.
const asService = "as-service"

func TestMain(m *testing.M) {
	if len(os.Args) != 3 || os.Args[1] != asService {
		os.Exit(m.Run())
	}
	say := func(text string) {
		f, err := os.OpenFile(os.Args[2], os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			os.Exit(3)
		}
		fmt.Fprintln(f, text)
		f.Close()
	}
	err := Serve(testName, func(ctx context.Context, s Session, log *Log) int {
		fmt.Fprintln(log, "kmswatch: an event of a test")
		say("opened")
		time.Sleep(time.Second)
		s.Ready()
		for {
			select {
			case <-s.Reload:
				say("reloaded")
			case <-ctx.Done():
				say("stopped")
				return 0
			}
		}
	})
	if err != nil {
		say(err.Error())
		os.Exit(6)
	}
	say("ended")
	os.Exit(0)
}

const testName = "kmswatch-test"

// TestService has this test binary installed, started, told to reload, stopped
// and removed as a service. It needs an administrator; under CI it runs in Wine.
func TestService(t *testing.T) {
	m, err := mgr.Connect()
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("needs the right to install services: ", err)
	}
	m.Disconnect()
	said := filepath.Join(t.TempDir(), "said by the service.txt")
	await := func(want string) {
		t.Helper()
		var b []byte
		for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			b, _ = os.ReadFile(said)
			if strings.HasSuffix(string(b), want+"\n") {
				return
			}
		}
		t.Fatalf("the service said %q, want %q", b, want)
	}
	refused := func(err error, want string) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want %s", err, want)
		}
	}

	if err := exec.Command(os.Args[0], asService, said).Run(); err == nil {
		t.Error("it runs as a service without the service manager")
	}
	await("not started by the service manager; try: kmswatch service start")

	_ = Remove(testName) // one that an interrupted test left
	refused(Start(testName), "start the service kmswatch-test: there is none; kmswatch service install installs it")
	if err := Install(testName, []string{asService, said}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = Remove(testName) })
	refused(Install(testName, nil), "there is one; kmswatch service remove removes it")
	refused(Reload(testName), "it does not run")
	if err := Stop(testName); err != nil {
		t.Errorf("stop a service that does not run: %v", err)
	}
	begin := time.Now()
	if err := Start(testName); err != nil {
		b, _ := os.ReadFile(said)
		t.Fatalf("%v; it said %q", err, b)
	}
	if took := time.Since(begin); took < time.Second {
		t.Errorf("said to run after %v, before it was ready", took)
	}
	await("opened")
	refused(Start(testName), "it runs already")
	for range 2 {
		if err := Reload(testName); err != nil {
			t.Fatal(err)
		}
		await("reloaded")
	}
	if err := Stop(testName); err != nil {
		t.Fatal(err)
	}
	await("ended")
	if err := Remove(testName); err != nil {
		t.Fatal(err)
	}
	refused(Stop(testName), "there is none")
}
