package planfile

import (
	"archive/zip"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/reconciler/render"
)

// look does with a file all that is done with one, and tells what it came to.
func look(t require.TestingT, path string, scratch string) (string, error) {
	f, err := Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	document, err := f.Document()
	if err != nil {
		return "", err
	}
	shown, err := f.Shown(kinds())
	if err != nil {
		return "", err
	}
	var text bytes.Buffer
	if err := render.Text(&text, shown, render.Options{Kinds: kinds(), Verbose: true}); err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	dir := filepath.Join(scratch, "content")
	defer os.RemoveAll(dir)
	s, err := f.Unseal(key(), kinds(), dir)
	if err != nil {
		return "", err
	}
	if err := s.Extract(); err != nil {
		return "", err
	}
	canonical, err := s.Plan.Canonical(key())
	require.NoError(t, err)
	return fmt.Sprintf("%s%s%s%s%+v", document, &text, canonical, contents(t, s.Plan), f.Head), nil
}

// savedBytes is a saved plan's file.
func savedBytes(t testing.TB) []byte {
	path := filepath.Join(t.TempDir(), "plan")
	p := small()
	require.NoError(t, Write(path, p, options(t, p)))
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return data
}

func TestDamage(t *testing.T) {
	data := savedBytes(t)
	path, scratch := filepath.Join(t.TempDir(), "damaged"), t.TempDir()
	write := func(t *testing.T, data []byte) { require.NoError(t, os.WriteFile(path, data, 0o600)) }
	write(t, data)
	whole, err := look(t, path, scratch)
	require.NoError(t, err)

	const step = 5 // each part of the file has several bytes
	t.Run("a file with a byte changed is refused, or says the same", func(t *testing.T) {
		same := 0
		for i := 0; i < len(data); i += step {
			damaged := slices.Clone(data)
			damaged[i] ^= 0x41
			write(t, damaged)
			got, err := look(t, path, scratch)
			if err != nil {
				require.ErrorContains(t, err, path)
				continue
			}
			require.Equal(t, whole, got, "byte %d", i)
			same++
		}
		assert.Less(t, same, len(data)/step/4, "of the archive's own fields only")
	})
	t.Run("a file that is cut off anywhere is refused", func(t *testing.T) {
		for n := 0; n < len(data); n += step {
			write(t, data[:n])
			_, err := look(t, path, scratch)
			require.ErrorContains(t, err, path, "%d bytes", n)
		}
	})
	t.Run("what is no file, or no plan, is said so", func(t *testing.T) {
		_, err := Open(scratch)
		assert.EqualError(t, err, "cannot read the plan "+scratch+": it is no regular file")
		_, err = Open(filepath.Join(scratch, "none"))
		assert.ErrorIs(t, err, os.ErrNotExist)
		write(t, []byte("plan"))
		_, err = Open(path)
		assert.ErrorContains(t, err, "cannot read the plan "+path+": it is no plan that opdbus saved, or is damaged: ")
	})
}

// rewrite makes an archive anew with some members replaced; one that is nil goes.
func rewrite(t testing.TB, data []byte, replace map[string][]byte) []byte {
	old, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	require.NoError(t, err)
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	add := func(name string, data []byte) {
		w, err := z.Create(name)
		require.NoError(t, err)
		_, err = w.Write(data)
		require.NoError(t, err)
	}
	for _, m := range old.File {
		new, replaced := replace[m.Name]
		switch {
		case replaced && new != nil:
			add(m.Name, new)
		case !replaced:
			require.NoError(t, z.Copy(m))
		}
	}
	for name, data := range replace {
		if !slices.ContainsFunc(old.File, func(m *zip.File) bool { return m.Name == name }) {
			add(name, data)
		}
	}
	require.NoError(t, z.Close())
	return out.Bytes()
}

func TestForgery(t *testing.T) {
	p := small()
	f := saved(t, p)
	data, err := os.ReadFile(f.path)
	require.NoError(t, err)
	shown, err := f.read(shownMember, largest)
	require.NoError(t, err)
	edited := bytes.Replace(shown, []byte(`"one"`), []byte(`"eno"`), 1)
	head := func(old, new string) []byte {
		b := bytes.Replace(f.head, []byte(old), []byte(new), 1)
		require.NotEqual(t, string(f.head), string(b), "%s", old)
		return b
	}
	for what, c := range map[string]struct {
		replace map[string][]byte
		want    string
	}{
		"that expires later":            {map[string][]byte{headMember: head("2026-01-02T04", "2027-01-02T04")}, "plan.sealed: it is damaged, or was changed after it was made"},
		"with another id":               {map[string][]byte{headMember: head(f.Head.ID, strings.Repeat("0", 32))}, "plan.sealed: it is damaged, or was changed after it was made"},
		"that shows something else":     {map[string][]byte{shownMember: edited}, "shown.json: it is damaged, or was changed after it was made"},
		"that proves what it shows":     {map[string][]byte{shownMember: edited, headMember: head(f.Head.Shown, digestOf(edited))}, "plan.sealed: it is damaged, or was changed after it was made"},
		"whose JSON acts on a terminal": {map[string][]byte{planMember: []byte("\"\u009b2J\""), headMember: head(f.Head.Plan, digestOf([]byte("\"\u009b2J\"")))}, "plan.json is damaged: it is no JSON that opdbus wrote"},
		"with other JSON":               {map[string][]byte{planMember: []byte("{}")}, "plan.json: it is damaged, or was changed after it was made"},
		"without its head":              {map[string][]byte{headMember: nil}, "it is no plan that opdbus saved: it has no head.json"},
		"without what was sealed":       {map[string][]byte{sealedMember: nil}, "it is damaged: plan.sealed is missing"},
		"without a content":             {map[string][]byte{contentMember(2): nil}, "it is damaged: content/2.sealed is missing"},
		"with a content changed":        {map[string][]byte{contentMember(1): []byte("forged")}, "content/1.sealed: it is damaged, or was changed after it was made"},
		"with more in it":               {map[string][]byte{"more": []byte("more")}, "it is damaged: it has 1 members more than a plan"},
		"of another version":            {map[string][]byte{headMember: head(`"format": 1`, `"format": 2`)}, "its format is version 2, and this opdbus knows version 1 only"},
		"of another version, altered":   {map[string][]byte{headMember: []byte(`{"format": 2, "id": 7}`)}, "its format is version 2, and this opdbus knows version 1 only"},
		"without an id":                 {map[string][]byte{headMember: head(f.Head.ID, "../../etc")}, "its head is damaged: it has no id"},
		"with a head of no end":         {map[string][]byte{headMember: bytes.Repeat([]byte(" "), largestHead+1)}, "head.json is larger than 64 KiB"},
	} {
		t.Run("a file "+what+" is refused", func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "forged")
			require.NoError(t, os.WriteFile(path, rewrite(t, data, c.replace), 0o600))
			_, err := look(t, path, t.TempDir())
			require.ErrorContains(t, err, "cannot read the plan "+path+": ")
			assert.ErrorContains(t, err, c.want)
		})
	}
}

// FuzzOpen looks at files of which nothing is right.
func FuzzOpen(f *testing.F) {
	data := savedBytes(f)
	f.Add(data)
	f.Add(data[:len(data)/2])
	f.Add([]byte("PK\x05\x06"))
	f.Fuzz(func(t *testing.T, data []byte) {
		scratch := t.TempDir()
		path := filepath.Join(scratch, "plan")
		require.NoError(t, os.WriteFile(path, data, 0o600))
		if _, err := look(t, path, scratch); err != nil {
			require.ErrorContains(t, err, path)
		}
	})
}

// FuzzShown looks at files that somebody made who knows the format and not the key.
func FuzzShown(f *testing.F) {
	data := savedBytes(f)
	shown, err := encode(small(), document{}, nil)
	require.NoError(f, err)
	f.Add(shown)
	f.Add([]byte(`{"nodes":[{"address":"stage.a","after":["stage.b"],"changes":[{"address":"stage.a"}]}]}`))
	f.Add([]byte(`{"nodes":[{"address":"stage.a","back":{},"changes":[{"address":"stage.a.thing[\"x\"]","before":7,"sensitive":["x"]}]}],"outputs":[{"name":"o"}]}`))
	f.Fuzz(func(t *testing.T, shown []byte) {
		path := filepath.Join(t.TempDir(), "plan")
		head := Head{Format: format, ID: strings.Repeat("0", 32), Shown: digestOf(shown)}
		headJSON, err := marshal(head)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, rewrite(t, data, map[string][]byte{shownMember: shown, headMember: headJSON}), 0o600))
		file, err := Open(path)
		require.NoError(t, err)
		defer file.Close()
		p, err := file.Shown(kinds())
		if err != nil {
			require.ErrorContains(t, err, path)
			return
		}
		var text bytes.Buffer
		if render.Text(&text, p, render.Options{Kinds: kinds(), Verbose: true}) == nil {
			assert.NotContains(t, text.String(), "\x1b")
		}
	})
}
