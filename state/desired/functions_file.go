package desired

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"unicode/utf8"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// fileFunctions read files below the configuration's directory and the allowed ones. What they read is part of the digest.
func (l *loader) fileFunctions() map[string]function.Function {
	fs := map[string]function.Function{
		"basename": textFunction("path", func(s string) (string, error) { return path.Base(s), nil }),
		"dirname":  textFunction("path", func(s string) (string, error) { return path.Dir(s), nil }),
		"file":     textFunction("path", l.fileText),
		"filebase64": textFunction("path", func(s string) (string, error) {
			b, err := l.readFor(s)
			return base64.StdEncoding.EncodeToString(b), err
		}),
		"fileexists":       l.fileexistsFunction(),
		"fileset":          l.filesetFunction(),
		"filebase64sha256": l.fileSum("sha256", base64.StdEncoding.EncodeToString),
		"filebase64sha512": l.fileSum("sha512", base64.StdEncoding.EncodeToString),
		"wg_public_key":    textFunction("path", l.publicKey),
	}
	for name := range hashes() {
		fs["file"+name] = l.fileSum(name, hex.EncodeToString)
	}
	return fs
}

// readFor reads a file for a function.
func (l *loader) readFor(name string) ([]byte, error) {
	resolved, known, err := l.inside(name)
	if err == nil {
		var b []byte
		if b, err = l.readFile(resolved); err == nil {
			l.digest.file(known, fmt.Sprintf("%x", sha256.Sum256(b)))
			return b, nil
		}
	}
	return nil, fmt.Errorf("cannot read %s: %w", name, err)
}

func (l *loader) fileText(name string) (string, error) {
	b, err := l.readFor(name)
	if err != nil {
		return "", err
	}
	if !utf8.Valid(b) {
		return "", fmt.Errorf("%s is not UTF-8 text; use filebase64, or let a source carry the file", name)
	}
	return string(b), nil
}

func (l *loader) fileSum(hash string, encode func([]byte) string) function.Function {
	return textFunction("path", func(name string) (string, error) {
		b, err := l.readFor(name)
		if err != nil {
			return "", err
		}
		return encode(sumOf(hashes()[hash], string(b))), nil
	})
}

func (l *loader) fileexistsFunction() function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{stringParam("path")},
		Type:   function.StaticReturnType(cty.Bool),
		Impl: func(args []cty.Value, t cty.Type) (cty.Value, error) {
			name := args[0].AsString()
			resolved, known, err := l.inside(name)
			if err != nil {
				if errors.Is(err, fs.ErrNotExist) {
					l.digest.file("exists "+path.Clean(name), "false")
					return cty.False, nil
				}
				return cty.UnknownVal(t), err
			}
			info, err := os.Stat(resolved)
			exists := err == nil && info.Mode().IsRegular()
			l.digest.file("exists "+known, fmt.Sprint(exists))
			return cty.BoolVal(exists), nil
		},
	})
}
