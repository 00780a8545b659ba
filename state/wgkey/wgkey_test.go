package wgkey_test

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/state/wgkey"
)

// The pair is Alice's of RFC 7748, section 6.1.
const (
	alice       = "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo="
	alicePublic = "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo="
)

func TestKey(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key")
	t.Run("that is made is read again, by its owner only, and not made twice", func(t *testing.T) {
		k, err := wgkey.New()
		require.NoError(t, err)
		require.NoError(t, wgkey.Write(file, k))
		info, err := os.Stat(file)
		require.NoError(t, err)
		assert.Equal(t, "-rw-------", info.Mode().String())
		again, err := wgkey.Read(file)
		require.NoError(t, err)
		assert.Equal(t, k, again)
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		other, err := wgkey.New()
		require.NoError(t, err)
		require.ErrorContains(t, wgkey.Write(file, other), "there is a "+file+" already")
		now, err := os.ReadFile(file)
		require.NoError(t, err)
		assert.Equal(t, string(text), string(now))
		raw := k.Bytes()
		assert.Zero(t, raw[0]&7)
		assert.Equal(t, byte(64), raw[31]&192)
	})
	t.Run("has the public key that the RFC says", func(t *testing.T) {
		k, err := wgkey.Parse([]byte(alice + "\n"))
		require.NoError(t, err)
		public, err := k.Public()
		require.NoError(t, err)
		assert.Equal(t, alicePublic, public)
	})
	t.Run("does not print itself", func(t *testing.T) {
		k, err := wgkey.Parse([]byte(alice))
		require.NoError(t, err)
		said := fmt.Sprintf("%v %+v %#v %s %x", k, k, k, k, k)
		assert.NotContains(t, said, "77076d0a")
		assert.NotContains(t, said, alice[:8])
	})
	t.Run("others may read, or that is none, is refused, with the remedy and without what it is", func(t *testing.T) {
		for content, says := range map[string]string{
			alice + "x": "44 characters", strings.Repeat("!", 44): "32 bytes as base64", "": "44 characters",
			base64.StdEncoding.EncodeToString(make([]byte, 32)): "zeros",
		} {
			require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
			_, err := wgkey.Read(file)
			require.ErrorContains(t, err, says)
			assert.NotContains(t, err.Error(), alice)
		}
		require.NoError(t, os.WriteFile(file, []byte(alice), 0o600))
		for _, mode := range []os.FileMode{0o640, 0o604, 0o620} {
			require.NoError(t, os.Chmod(file, mode))
			_, err := wgkey.Read(file)
			require.ErrorContains(t, err, fmt.Sprintf("(mode %04o): chmod 600 %s", mode, file))
		}
		require.NoError(t, os.Remove(file))
		_, err := wgkey.Read(file)
		require.EqualError(t, err, "there is no "+file+"; opdbus wg genkey "+file+" makes it")
		require.ErrorIs(t, err, os.ErrNotExist)
		_, err = wgkey.Read(t.TempDir())
		require.ErrorContains(t, err, "it is no regular file")
	})
}
