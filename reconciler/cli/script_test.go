package cli_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/providers"
	"github.com/opdbus/opdbus/reconciler/cli"
	"github.com/opdbus/opdbus/reconciler/faulttest"
	"github.com/opdbus/opdbus/state/snapshot/snapshottest"
)

func TestMain(m *testing.M) {
	faulttest.Reexec()
	// They wait for disks as long as they compute; -parallel says otherwise.
	if err := flag.Set("test.parallel", fmt.Sprint(2*runtime.GOMAXPROCS(0))); err != nil {
		panic(err)
	}
	testscript.Main(tidily{m}, map[string]func(){
		"opdbus": func() { os.Exit(cli.Main(version, providers.All, providers.Programs(), os.Args[1:])) },
	})
}

// tidily runs the tests and removes the program that was built for them.
type tidily struct{ *testing.M }

func (m tidily) Run() int {
	code := m.M.Run()
	if built != "" {
		_ = os.RemoveAll(built)
	}
	return code
}

// instrumented are the scripts that are run by what the tests are built from, which go test -race has watch for data races: that begins ten
// times as slowly. They run many nodes at a time. The others are run by the program as it is built for its users.
var instrumented = []string{"script-staging_guide", "script-failure"}

// TestScript runs the command line as its users do, on a real btrfs store in a scratch root. A script's $ROOT is on btrfs, and
// $EXAMPLES has the examples.
func TestScript(t *testing.T) {
	btrfs := snapshottest.Mount(t, 2048)
	examples, err := filepath.Abs("../../examples")
	require.NoError(t, err)
	opdbus, err := program()
	require.NoError(t, err)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		UpdateScripts:       os.Getenv("UPDATE") != "",
		Setup: func(env *testscript.Env) error {
			root := filepath.Join(btrfs, filepath.Base(env.WorkDir))
			env.Setenv("ROOT", root)
			env.Setenv("OPDBUS_ROOT", root)
			env.Setenv("STAGING", root+"/var/lib/op-dbus/staging")
			env.Setenv("EXAMPLES", examples)
			path := os.Getenv("PATH") + ":/usr/sbin:/sbin" // with what TestMain makes of this program
			if !slices.Contains(instrumented, filepath.Base(env.WorkDir)) {
				path = filepath.Dir(opdbus) + ":" + path
			}
			env.Setenv("PATH", path)
			return os.MkdirAll(filepath.Join(root, "etc"), 0o755)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"tree":  tree,
			"mount": mount,
			"fill":  fill,
			"host":  hostTree,
		},
	})
}

// tree writes all that is at and below the directories into a file, one line each, so that two states of a host can be
// compared: tree FILE DIR….
func tree(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: tree FILE DIR...")
	}
	var b strings.Builder
	for _, dir := range args[1:] {
		err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, "%s %s", path, info.Mode())
			switch {
			case info.Mode()&os.ModeSymlink != 0:
				link, err := os.Readlink(path)
				if err != nil {
					return err
				}
				b.WriteString(" -> " + link)
			case info.Mode().IsRegular():
				data, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				fmt.Fprintf(&b, " %q", data)
			}
			b.WriteString("\n")
			return nil
		})
		ts.Check(err)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(b.String()), 0o600))
}

// hostTree is tree of the whole host but what tells how often something was tried: journals, snapshots, plans held, the lock, caches,
// and the ledger's head: host FILE.
func hostTree(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: host FILE")
	}
	root := ts.Getenv("ROOT")
	tree(ts, false, []string{args[0], root})
	data, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	var lines []string
	for line := range strings.Lines(string(data)) {
		if strings.HasPrefix(line, root+"/var/lib/op-dbus/state/ledger.json") {
			_, line, _ = strings.Cut(line, `\"nodes\":`)
			if line == "{}}\\n\"\n" {
				line = ""
			}
		} else if strings.HasPrefix(line, root+"/var/lib/op-dbus/state") || strings.HasPrefix(line, root+"/var/lib/op-dbus/staging/snapshots") {
			continue
		}
		lines = append(lines, line)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Join(lines, "")), 0o600))
}

// mount mounts a btrfs image of a number of MiB at a directory until the script ends: mount MIB DIR.
func mount(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: mount MIB DIR")
	}
	image := ts.MkAbs("image-" + filepath.Base(args[1]))
	ts.Check(os.WriteFile(image, nil, 0o600))
	ts.Check(ts.Exec("truncate", "-s", args[0]+"M", image))
	ts.Check(ts.Exec("mkfs.btrfs", "-q", image))
	ts.Check(os.MkdirAll(args[1], 0o755))
	ts.Check(ts.Exec("mount", "-o", "loop", image, args[1]))
	ts.Defer(func() { ts.Check(ts.Exec("umount", "-l", args[1])) })
}

// fill fills the file system of a directory: fill DIR.
func fill(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: fill DIR")
	}
	for _, size := range []int{1 << 20, 4 << 10} {
		f, err := os.Create(filepath.Join(args[0], fmt.Sprintf("ballast-%d", size)))
		ts.Check(err)
		block := make([]byte, size)
		for err == nil {
			_, err = f.Write(block)
		}
		_ = f.Close()
	}
}
