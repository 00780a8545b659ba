package hostfs

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// needRoot skips a test that changes owners; with CI=true it fails.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("needs root")
	}
	t.Skip("needs root")
}

// world makes a tree out of lines such as "d 0 1777 /tmp", "l 1000 /tmp/x -> /etc" and "f 0 /etc/passwd".
func world(t *testing.T, lines ...string) string {
	t.Helper()
	needRoot(t)
	root := filepath.Join(t.TempDir(), "root")
	require.NoError(t, os.Mkdir(root, 0o755))
	for _, line := range lines {
		f := strings.Fields(line)
		uid := map[string]int{"0": 0, "1000": 1000, "1001": 1001}[f[1]]
		var path string
		switch f[0] {
		case "d":
			path = root + f[3]
			require.NoError(t, os.MkdirAll(path, 0o755))
			mode := map[string]uint32{"755": 0o755, "777": 0o777, "1777": 0o1777}[f[2]]
			require.NoError(t, unix.Chmod(path, mode))
		case "l":
			path = root + f[2]
			require.NoError(t, os.Symlink(f[4], path))
		case "f":
			path = root + f[2]
			require.NoError(t, os.WriteFile(path, nil, 0o644))
		}
		require.NoError(t, os.Lchown(path, uid, uid))
	}
	return root
}

// arrives says where a target's parent is below the root, or why it cannot be gone to.
func arrives(t *testing.T, fs FS, target string) string {
	t.Helper()
	tree, err := fs.Open()
	require.NoError(t, err)
	defer tree.Close()
	where := ""
	err = tree.In(target, func(d *Dir, name string) error {
		path, err := os.Readlink("/proc/self/fd/" + itoa(d.fd))
		where = strings.TrimPrefix(path, fs.Root) + "/" + name
		return err
	})
	if err != nil {
		return err.Error()
	}
	return where
}

func itoa(n int) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return itoa(n/10) + itoa(n%10)
}

func TestIn(t *testing.T) {
	for name, c := range map[string]struct {
		lines        []string
		target, want string
	}{
		"walks directories":                    {[]string{"d 0 755 /usr/bin"}, "/usr/bin/x", "/usr/bin/x"},
		"follows root's links, as merged /usr": {[]string{"d 0 755 /usr/bin", "l 0 /bin -> usr/bin"}, "/bin/x", "/usr/bin/x"},
		"starts absolute links at the root":    {[]string{"d 0 755 /usr/bin", "l 0 /bin -> /usr/bin"}, "/bin/x", "/usr/bin/x"},
		"never leaves the root":                {[]string{"d 0 755 /etc", "d 0 755 /a", "l 0 /a/up -> ../../../../../../etc"}, "/a/up/x", "/etc/x"},
		"does not follow the last component":   {[]string{"d 1000 755 /home/u", "l 1000 /home/u/x -> /etc/shadow"}, "/home/u/x", "/home/u/x"},
		"goes into a user's directory":         {[]string{"d 1000 755 /home/u"}, "/home/u/x", "/home/u/x"},
		"follows a user's link to the user's":  {[]string{"d 1000 755 /home/u", "d 1000 755 /home/u/a", "l 1000 /home/u/b -> a"}, "/home/u/b/x", "/home/u/a/x"},
		"refuses a user's link to root's": {[]string{"d 0 755 /etc", "d 1000 755 /home/u", "l 1000 /home/u/b -> /etc"}, "/home/u/b/x",
			"cannot go to /home/u/b: what uid 1000 owns leads to /, which uid 0 owns"},
		"refuses a user's relative link to root's": {[]string{"d 0 755 /etc", "d 1000 755 /home/u", "l 1000 /home/u/b -> ../../etc"}, "/home/u/b/x",
			"cannot go to /home/u/b: what uid 1000 owns leads to /home, which uid 0 owns"},
		"refuses what root owns in a user's directory": {[]string{"d 1000 755 /home/u", "d 0 755 /home/u/r"}, "/home/u/r/x",
			"cannot go to /home/u/r: what uid 1000 owns leads to /home/u/r, which uid 0 owns"},
		"refuses another user's link": {[]string{"d 1000 755 /home/u", "d 1001 755 /home/v", "l 1000 /home/u/b -> ../v"}, "/home/u/b/x",
			"cannot go to /home/u/b: what uid 1000 owns leads to /home, which uid 0 owns"},
		"refuses what was planted in /tmp": {[]string{"d 0 1777 /tmp", "d 1000 755 /tmp/app"}, "/tmp/app/x",
			"cannot go to /tmp/app: uid 1000 has put /tmp/app into a directory that everybody can write to"},
		"refuses a link that was planted in /tmp": {[]string{"d 0 1777 /tmp", "d 1000 755 /home/u", "l 1000 /tmp/app -> /home/u"}, "/tmp/app/x",
			"cannot go to /tmp/app: uid 1000 has put /tmp/app into a directory that everybody can write to"},
		"follows root's link in /tmp": {[]string{"d 0 1777 /tmp", "d 0 755 /opt", "l 0 /tmp/app -> /opt"}, "/tmp/app/x", "/opt/x"},
		"refuses a link where everybody can replace it": {[]string{"d 0 777 /share", "d 0 755 /opt", "l 0 /share/app -> /opt"}, "/share/app/x",
			"cannot go to /share/app: the link /share/app is in a directory where everybody can replace it"},
		"writes into a directory for everybody": {[]string{"d 0 777 /share"}, "/share/x", "/share/x"},
		"refuses a file on the way":             {[]string{"d 0 755 /etc", "f 0 /etc/f"}, "/etc/f/x", "cannot go to /etc/f: /etc/f is not a directory"},
		"refuses links without end":             {[]string{"l 0 /a -> b", "l 0 /b -> a"}, "/a/x", "cannot go to /a: it leads through more than 40 links"},
		"says what is missing":                  {[]string{"d 0 755 /etc"}, "/etc/a/b/x", "open /etc/a: no such file or directory"},
		"refuses what is closed":                {[]string{"d 0 755 /var/store/staging", "l 0 /s -> var/store"}, "/s/staging/x", "cannot go to /s/staging: /var/store is opdbus' own"},
		"wants an absolute path":                {nil, "etc/x", `"etc/x" is not an absolute path`},
		"wants a clean path":                    {nil, "/etc/../x", `"/etc/../x" is not a clean path; write "/x"`},
		"wants more than the root":              {nil, "/", "the root directory itself cannot be a target"},
	} {
		t.Run(name, func(t *testing.T) {
			fs := FS{Root: world(t, c.lines...), Closed: []string{"/var/store"}}
			assert.Equal(t, c.want, strings.ReplaceAll(arrives(t, fs, c.target), "//", "/"))
		})
	}
}

func TestMkdirParents(t *testing.T) {
	t.Run("makes what is missing and removes what is empty", func(t *testing.T) {
		root := world(t, "d 0 755 /etc")
		old := unix.Umask(0o077)
		defer unix.Umask(old)
		tree, err := FS{Root: root}.Open()
		require.NoError(t, err)
		defer tree.Close()
		missing, err := tree.Missing("/etc/a/b/c/x")
		require.NoError(t, err)
		made, err := tree.MkdirParents("/etc/a/b/c/x")
		require.NoError(t, err)
		assert.Equal(t, []string{"/etc/a", "/etc/a/b", "/etc/a/b/c"}, made)
		assert.Equal(t, missing, made)
		st, err := os.Stat(root + "/etc/a/b/c")
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o755), st.Mode().Perm(), "whatever the umask is")
		require.NoError(t, os.WriteFile(root+"/etc/a/keep", nil, 0o600))
		require.NoError(t, tree.RemoveEmpty(made))
		assert.NoDirExists(t, root+"/etc/a/b")
		assert.FileExists(t, root+"/etc/a/keep")
		made, err = tree.MkdirParents("/etc/a/b/x")
		require.NoError(t, err)
		assert.Equal(t, []string{"/etc/a/b"}, made, "a directory that was removed is not remembered")
	})
	t.Run("makes them with their mode, or not at all, and comes back for what a cut has left", func(t *testing.T) {
		root := world(t, "d 0 755 /etc")
		require.NoError(t, os.Chmod(root+"/etc", 0o2775|os.ModeSetgid))
		tree, err := FS{Root: root}.Open()
		require.NoError(t, err)
		defer tree.Close()
		half := root + "/etc/" + TempName("a")
		for range 2 {
			require.NoError(t, os.Mkdir(half, 0o700))
			_, err = tree.MkdirParents("/etc/a/x")
			require.NoError(t, err)
			assert.NoDirExists(t, half)
			st, err := os.Stat(root + "/etc/a")
			require.NoError(t, err)
			assert.Equal(t, os.ModeDir|0o755, st.Mode())
			require.NoError(t, os.Mkdir(half, 0o700))
			require.NoError(t, tree.RemoveEmpty([]string{"/etc/a"}))
			assert.NoDirExists(t, half)
			assert.NoDirExists(t, root+"/etc/a")
		}
	})
	t.Run("many at once make each of them once", func(t *testing.T) {
		root := world(t, "d 0 755 /etc")
		var wait sync.WaitGroup
		var made atomic.Int32
		for i := range 16 {
			wait.Go(func() {
				tree, err := FS{Root: root}.Open()
				if !assert.NoError(t, err) {
					return
				}
				defer tree.Close()
				dirs, err := tree.MkdirParents("/etc/a/b/c/" + itoa(i))
				assert.NoError(t, err)
				made.Add(int32(len(dirs)))
			})
		}
		wait.Wait()
		assert.EqualValues(t, 3, made.Load())
	})
	t.Run("leaves a directory that somebody has given another mode", func(t *testing.T) {
		root := world(t, "d 0 755 /etc")
		tree, err := FS{Root: root}.Open()
		require.NoError(t, err)
		defer tree.Close()
		made, err := tree.MkdirParents("/etc/a/b/x")
		require.NoError(t, err)
		require.NoError(t, os.Chmod(root+"/etc/a/b", 0o750))
		require.NoError(t, tree.RemoveEmpty(made))
		assert.DirExists(t, root+"/etc/a/b")
	})
	t.Run("makes nothing of root's in a user's directory", func(t *testing.T) {
		tree, err := FS{Root: world(t, "d 1000 755 /home/u")}.Open()
		require.NoError(t, err)
		defer tree.Close()
		_, err = tree.MkdirParents("/home/u/a/x")
		var blocked *BlockedError
		require.ErrorAs(t, err, &blocked)
		assert.Contains(t, blocked.Reason, `declare it as a file of type "directory"`)
	})
}

func TestTree(t *testing.T) {
	t.Run("keeps a bounded number of directories open", func(t *testing.T) {
		root := world(t)
		tree, err := FS{Root: root}.Open()
		require.NoError(t, err)
		defer tree.Close()
		for i := range 3 * maxDirs {
			dir := "/" + itoa(i)
			require.NoError(t, os.Mkdir(root+dir, 0o755))
			require.NoError(t, tree.In(dir+"/x", func(*Dir, string) error { return nil }))
		}
		assert.LessOrEqual(t, len(tree.dirs), maxDirs)
	})
	t.Run("names users and groups of the root", func(t *testing.T) {
		root := world(t, "d 0 755 /etc", "d 0 755 /usr/lib", "l 0 /etc/passwd -> /usr/lib/passwd")
		require.NoError(t, os.WriteFile(root+"/usr/lib/passwd", []byte("root:x:0:0::/:/bin/sh\nweb:x:33:33::/:/bin/false\nbroken\n"), 0o644))
		tree, err := FS{Root: root}.Open()
		require.NoError(t, err)
		defer tree.Close()
		a, err := tree.Accounts()
		require.NoError(t, err)
		uid, err := a.UID("web")
		require.NoError(t, err)
		assert.Equal(t, 33, uid)
		assert.Equal(t, "web 44 root", a.User(33)+" "+a.User(44)+" "+a.Group(0))
		_, err = a.GID("web")
		assert.EqualError(t, err, `there is no group "web"`)
	})
}

func TestDir(t *testing.T) {
	t.Run("a file that cannot be written leaves nothing", func(t *testing.T) {
		root := world(t, "d 0 755 /etc", "f 0 /etc/x")
		tree, err := FS{Root: root}.Open()
		require.NoError(t, err)
		defer tree.Close()
		fail := func(*os.File) error { return os.ErrInvalid }
		err = tree.In("/etc/x", func(d *Dir, name string) error {
			require.ErrorIs(t, d.CreateFile("y", Attributes{}, fail), os.ErrInvalid)
			require.ErrorIs(t, d.createByRename("y", Attributes{}, fail), os.ErrInvalid)
			require.ErrorIs(t, d.ReplaceFile(name, Attributes{}, fail), os.ErrInvalid)
			require.ErrorIs(t, d.Symlink("a", name), os.ErrExist)
			require.ErrorIs(t, d.CreateFile(name, Attributes{}, func(*os.File) error { return nil }), os.ErrExist)
			require.ErrorIs(t, d.createByRename(name, Attributes{}, func(*os.File) error { return nil }), os.ErrExist)
			return nil
		})
		require.NoError(t, err)
		names, err := os.ReadDir(root + "/etc")
		require.NoError(t, err)
		require.Len(t, names, 1)
		assert.Equal(t, "x", names[0].Name())
	})
	t.Run("what a cut left of a replacement is replaced", func(t *testing.T) {
		root := world(t, "d 0 755 /etc", "f 0 /etc/x")
		require.NoError(t, os.Symlink("left", root+"/etc/"+TempName("x")))
		tree, err := FS{Root: root}.Open()
		require.NoError(t, err)
		defer tree.Close()
		require.NoError(t, tree.In("/etc/x", func(d *Dir, name string) error { return d.ReplaceSymlink("new", name) }))
		link, err := os.Readlink(root + "/etc/x")
		require.NoError(t, err)
		assert.Equal(t, "new", link)
		assert.NoFileExists(t, root+"/etc/"+TempName("x"))
		assert.True(t, IsOwnName(TempName("x")))
		assert.Equal(t, "/etc/.x.opdbus-backup", BackupOf("/etc/x"))
	})
}
