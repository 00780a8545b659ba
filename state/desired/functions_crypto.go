package desired

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"hash"
	"path/filepath"

	"github.com/zclconf/go-cty/cty/function"

	"github.com/opdbus/opdbus/state/wgkey"
)

// hashes are by the names of the functions; md5 and sha1 are for what others have hashed so.
func hashes() map[string]func() hash.Hash {
	return map[string]func() hash.Hash{"md5": md5.New, "sha1": sha1.New, "sha256": sha256.New, "sha512": sha512.New}
}

func cryptoFunctions() map[string]function.Function {
	fs := map[string]function.Function{
		"base64sha256": textFunction("str", base64Sum(sha256.New)),
		"base64sha512": textFunction("str", base64Sum(sha512.New)),
		"uuidv5":       uuidv5Function(),
	}
	for name, h := range hashes() {
		fs[name] = textFunction("str", func(s string) (string, error) { return hex.EncodeToString(sumOf(h, s)), nil })
	}
	return fs
}

func base64Sum(h func() hash.Hash) func(string) (string, error) {
	return func(s string) (string, error) { return base64.StdEncoding.EncodeToString(sumOf(h, s)), nil }
}

func sumOf(h func() hash.Hash, s string) []byte {
	w := h()
	w.Write([]byte(s))
	return w.Sum(nil)
}

// publicKey is the public key of the WireGuard interface whose private key is in a file of the host's. Nothing else of that file is told, so
// that it may be anywhere. Away from the host, where there is no such key, another stands for it.
func (l *loader) publicKey(file string) (string, error) {
	if !filepath.IsAbs(file) {
		return "", errors.New("a key is a file of the host's, by its absolute path")
	}
	if l.o.Elsewhere {
		return wgkey.Of(sha256.Sum256([]byte(file))).Public()
	}
	k, err := wgkey.Read(filepath.Join(l.o.Root, file))
	if err != nil {
		return "", err
	}
	public, err := k.Public()
	l.digest.value("public key", file, []byte(public))
	return public, err
}
