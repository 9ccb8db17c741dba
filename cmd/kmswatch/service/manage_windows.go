package service

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/eventlog"
	"golang.org/x/sys/windows/svc/mgr"
)

// Available tells whether this system has Windows services.
const Available = true

const (
	// npcapService is the driver of Npcap.
	npcapService = "npcap"
	// patience is how long a service may take to reach a state: longer than it is
	// given to start or to stop.
	patience = startLimit + stopLimit
)

// Install makes this executable, with arguments, a service that Windows starts
// as it starts, and starts again when it fails.
func Install(name string, args []string) (err error) {
	exe, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	m, err := connect()
	if err != nil {
		return err
	}
	defer m.Disconnect()
	c := mgr.Config{
		DisplayName:  name + " sensor",
		Description:  "Watches Windows volume activation (KMS) and MS-RPC traffic, passively, and alerts when it crosses security zones.",
		StartType:    mgr.StartAutomatic,
		ErrorControl: mgr.ErrorNormal,
	}
	// The driver of Npcap may be set to start after us; it must be there first.
	if npcap, err := m.OpenService(npcapService); err == nil {
		npcap.Close()
		c.Dependencies = []string{npcapService}
	}
	s, err := m.CreateService(name, exe, c, args...)
	if err != nil {
		return explain(name, "install", err)
	}
	defer s.Close()
	defer func() {
		if err != nil {
			_ = s.Delete()
		}
	}()
	// Wine knows no such settings; a service is one without them too.
	if err := restartOnFailure(s); err != nil && !errors.Is(err, windows.ERROR_INVALID_LEVEL) {
		return explain(name, "set what follows a failure of", err)
	}
	// A source that is left from before is as good.
	_ = eventlog.Remove(name)
	if err := eventlog.InstallAsEventCreate(name, eventlog.Info|eventlog.Warning|eventlog.Error); err != nil {
		return explain(name, "add to the event log", err)
	}
	return nil
}

// restartOnFailure has Windows start a service again that ended before it was told to.
func restartOnFailure(s *mgr.Service) error {
	again := mgr.RecoveryAction{Type: mgr.ServiceRestart, Delay: 5 * time.Second}
	later := mgr.RecoveryAction{Type: mgr.ServiceRestart, Delay: time.Minute}
	if err := s.SetRecoveryActions([]mgr.RecoveryAction{again, again, later}, 24*60*60); err != nil {
		return err
	}
	return s.SetRecoveryActionsOnNonCrashFailures(true)
}

// Remove stops the service and removes it, with its source in the event log.
func Remove(name string) error {
	return with(name, "remove", func(s *mgr.Service) error {
		if err := halt(s); err != nil {
			return err
		}
		if err := s.Delete(); err != nil {
			return err
		}
		if err := eventlog.Remove(name); err != nil && !errors.Is(err, windows.ERROR_FILE_NOT_FOUND) {
			return fmt.Errorf("the event log: %w", err)
		}
		return nil
	})
}

// Start starts the service and waits until it runs.
func Start(name string) error {
	return with(name, "start", func(s *mgr.Service) error {
		if err := s.Start(); err != nil {
			return err
		}
		return await(s, svc.Running)
	})
}

// Stop stops the service and waits until it has. One that does not run is left
// alone.
func Stop(name string) error { return with(name, "stop", halt) }

// Reload has the service read its configuration anew.
func Reload(name string) error {
	return with(name, "reload", func(s *mgr.Service) error {
		_, err := s.Control(svc.ParamChange)
		return err
	})
}

func halt(s *mgr.Service) error {
	if _, err := s.Control(svc.Stop); err != nil {
		if errors.Is(err, windows.ERROR_SERVICE_NOT_ACTIVE) {
			return nil
		}
		// It may be on its way to stop already.
		if st, e := s.Query(); e != nil || st.State != svc.StopPending {
			return err
		}
	}
	return await(s, svc.Stopped)
}

// await waits until a service has reached a state.
func await(s *mgr.Service, want svc.State) error {
	for end := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		st, err := s.Query()
		switch {
		case err != nil:
			return err
		case st.State == want:
			return nil
		case st.State == svc.Stopped:
			return fmt.Errorf("it stopped with exit code %d; the Application event log tells why, under the source %s", exitCode(st), s.Name)
		case time.Now().After(end):
			return fmt.Errorf("it has not done so within %v", patience)
		}
	}
}

func exitCode(s svc.Status) uint32 {
	if s.Win32ExitCode == uint32(windows.ERROR_SERVICE_SPECIFIC_ERROR) {
		return s.ServiceSpecificExitCode
	}
	return s.Win32ExitCode
}

// with opens a service for what do does with it.
func with(name, doing string, do func(*mgr.Service) error) error {
	m, err := connect()
	if err != nil {
		return err
	}
	defer m.Disconnect()
	s, err := m.OpenService(name)
	if err != nil {
		return explain(name, doing, err)
	}
	defer s.Close()
	if err := do(s); err != nil {
		return explain(name, doing, err)
	}
	return nil
}

func connect() (*mgr.Mgr, error) {
	m, err := mgr.Connect()
	if errors.Is(err, windows.ERROR_ACCESS_DENIED) {
		return nil, errors.New("the service manager refuses: run this as an administrator")
	}
	if err != nil {
		return nil, fmt.Errorf("reach the service manager: %w", err)
	}
	return m, nil
}

// explain makes of an error of Windows what to do about it.
func explain(name, doing string, err error) error {
	hint := ""
	switch {
	case errors.Is(err, windows.ERROR_ACCESS_DENIED):
		hint = "run this as an administrator"
	case errors.Is(err, windows.ERROR_SERVICE_DOES_NOT_EXIST):
		hint = "there is none; kmswatch service install installs it"
	case errors.Is(err, windows.ERROR_SERVICE_EXISTS):
		hint = "there is one; kmswatch service remove removes it"
	case errors.Is(err, windows.ERROR_SERVICE_MARKED_FOR_DELETE):
		hint = "it is being removed; close the windows that show services, and try again"
	case errors.Is(err, windows.ERROR_SERVICE_ALREADY_RUNNING):
		hint = "it runs already"
	case errors.Is(err, windows.ERROR_SERVICE_NOT_ACTIVE):
		hint = "it does not run"
	default:
		return fmt.Errorf("%s the service %s: %w", doing, name, err)
	}
	return fmt.Errorf("%s the service %s: %s", doing, name, hint)
}
