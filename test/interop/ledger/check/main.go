// Checks a Mintmark ledger in a folder with Go's own implementation of
// transparency logs: checkpoints, every tile, every entry, every proof; and
// leaves there a checkpoint that Go signed.  One line if all is well.
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const height = 8 // of a tile: C2SP tlog-tiles

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}

// folder reads tiles where C2SP puts them, which is where Go's sumdb does
// without the height.
type folder string

func (f folder) Height() int                             { return height }
func (f folder) SaveTiles(tiles []tlog.Tile, d [][]byte) {}

func (f folder) read(name string) []byte {
	return must(os.ReadFile(filepath.Join(string(f), name)))
}

func (f folder) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, t := range tiles {
		path := strings.Replace(t.Path(), "tile/8/", "tile/", 1)
		data, err := os.ReadFile(filepath.Join(string(f), path))
		if err != nil {
			return nil, err
		}
		all = append(all, data)
	}
	return all, nil
}

// checkpoint opens a note and gives the tree head that it holds.
func (f folder) checkpoint(name string, key note.Verifier) tlog.Tree {
	n := must(note.Open(f.read(name), note.VerifierList(key)))
	line := strings.Split(n.Text, "\n")
	if len(line) != 4 || line[0] != key.Name() {
		log.Fatalf("%s: text %q", name, n.Text)
	}
	var tree tlog.Tree
	tree.N = must(strconv.ParseInt(line[1], 10, 64))
	root := must(base64.StdEncoding.DecodeString(line[2]))
	copy(tree.Hash[:], root)
	return tree
}

// entries gives the leaf hashes of all bundles of a tree of n entries.
func (f folder) entries(n int64) []tlog.Hash {
	var leaves []tlog.Hash
	for first := int64(0); first < n; first += 1 << height {
		t := tlog.Tile{H: height, L: -1, N: first >> height,
			W: int(min(n-first, 1<<height))}
		path := strings.Replace(t.Path(), "tile/8/data/",
			"tile/entries/", 1)
		for b := f.read(path); len(b) > 0; {
			size := int(binary.BigEndian.Uint16(b)) + 2
			leaves = append(leaves, tlog.RecordHash(b[2:size]))
			b = b[size:]
		}
	}
	return leaves
}

// proofs reads lines of a number and hashes.
func (f folder) proofs(name string, each func(at int64, p []tlog.Hash)) {
	for _, l := range strings.Split(strings.TrimSpace(
		string(f.read(name))), "\n") {
		field := strings.Fields(l)
		var proof []tlog.Hash
		for _, h := range field[1:] {
			proof = append(proof,
				tlog.Hash(must(hex.DecodeString(h))))
		}
		each(must(strconv.ParseInt(field[0], 10, 64)), proof)
	}
}

func same(a, b []tlog.Hash) bool {
	return len(a) == 0 && len(b) == 0 || reflect.DeepEqual(a, b)
}

func checkTree(f folder, tree tlog.Tree) []tlog.Hash {
	reader := tlog.TileHashReader(tree, f)
	if root := must(tlog.TreeHash(tree.N, reader)); root != tree.Hash {
		log.Fatalf("root is %v, signed is %v", root, tree.Hash)
	}
	leaves := f.entries(tree.N)
	if int64(len(leaves)) != tree.N {
		log.Fatalf("%d entries, want %d", len(leaves), tree.N)
	}
	for i, leaf := range leaves {
		at := []int64{tlog.StoredHashIndex(0, int64(i))}
		if i%97 != 0 && i < len(leaves)-300 {
			continue
		}
		if must(reader.ReadHashes(at))[0] != leaf {
			log.Fatalf("entry %d is not the one in its tile", i)
		}
	}
	return leaves
}

func checkProofs(f folder, tree, old tlog.Tree, leaves []tlog.Hash) int {
	reader := tlog.TileHashReader(tree, f)
	n := 0
	f.proofs("inclusion", func(i int64, p []tlog.Hash) {
		n++
		err := tlog.CheckRecord(p, tree.N, tree.Hash, i, leaves[i])
		if err != nil {
			log.Fatalf("inclusion of %d: %v", i, err)
		}
		if !same(p, must(tlog.ProveRecord(tree.N, i, reader))) {
			log.Fatalf("inclusion of %d: not Go's proof", i)
		}
		other := sha256.Sum256([]byte("another leaf"))
		if tlog.CheckRecord(p, tree.N, tree.Hash, i, other) == nil {
			log.Fatalf("inclusion of %d proves anything", i)
		}
	})
	f.proofs("consistency", func(from int64, p []tlog.Hash) {
		n++
		err := tlog.CheckTree(p, tree.N, tree.Hash, old.N, old.Hash)
		if err != nil || from != old.N {
			log.Fatalf("consistency from %d: %v", from, err)
		}
		if !same(p, must(tlog.ProveTree(tree.N, old.N, reader))) {
			log.Fatalf("consistency from %d: not Go's proof", from)
		}
	})
	return n
}

// sign leaves the same tree head under a key of Go's.
func sign(f folder, tree tlog.Tree) {
	const name = "go.example/log"
	seed := bytes.NewReader(bytes.Repeat([]byte{7}, 64))
	secret, public, err := note.GenerateKey(seed, name)
	must(public, err)
	text := fmt.Sprintf("%s\n%d\n%s\n", name, tree.N,
		base64.StdEncoding.EncodeToString(tree.Hash[:]))
	signer := must(note.NewSigner(secret))
	signed := must(note.Sign(&note.Note{Text: text}, signer))
	for file, data := range map[string][]byte{"go.checkpoint": signed,
		"go.key": []byte(public)} {
		err := os.WriteFile(filepath.Join(string(f), file), data, 0o644)
		must(file, err)
	}
}

func main() {
	log.SetFlags(0)
	f := folder(os.Args[1])
	key := must(note.NewVerifier(string(f.read("key"))))
	tree := f.checkpoint("checkpoint", key)
	old := f.checkpoint("checkpoint.old", key)
	leaves := checkTree(f, tree)
	n := checkProofs(f, tree, old, leaves)
	sign(f, tree)
	fmt.Printf("%d entries, %d proofs, root %x\n", tree.N, n, tree.Hash[:])
}
