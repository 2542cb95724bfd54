// Go's net/http with the standard library alone, on one core (GOMAXPROCS follows the affinity).
// The standard library has no driver for a database, so those cases are left out.
package main

import (
	"encoding/json"
	"io"
	"log"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

type message struct {
	Message string `json:"message"`
}

type item struct {
	ID   int    `json:"id"`
	Name string `json:"name"`
}

// Pointers tell a field that is missing from one that is zero.
type newPerson struct {
	Name   *string   `json:"name"`
	Age    *int      `json:"age"`
	Score  *float64  `json:"score"`
	Active *bool     `json:"active"`
	Email  *string   `json:"email"`
	Tags   *[]string `json:"tags"`
}

type fan struct {
	ID   int             `json:"id"`
	City json.RawMessage `json:"city"`
	Role json.RawMessage `json:"role"`
}

var email = regexp.MustCompile(`^[^@\s]+@[^@\s]+\.[^@\s]+$`)

func answer(w http.ResponseWriter, status int, document any) {
	body, err := json.Marshal(document)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(body)
}

// idOf gives the number behind the prefix of the path; it has answered when ok is false.
func idOf(w http.ResponseWriter, r *http.Request, prefix string) (id int, ok bool) {
	id, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, prefix))
	if err != nil {
		http.NotFound(w, r)
		return 0, false
	}
	return id, true
}

func create(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 10_000_000))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var p newPerson
	if err := json.Unmarshal(body, &p); err != nil {
		answer(w, http.StatusUnprocessableEntity, map[string]string{"error": err.Error()})
		return
	}
	if p.Name == nil || p.Age == nil || p.Score == nil || p.Active == nil || p.Email == nil ||
		p.Tags == nil || *p.Age < 0 || *p.Age > 150 || !email.MatchString(*p.Email) ||
		*p.Name == "" || utf8.RuneCountInString(*p.Name) > 64 {
		answer(w, http.StatusUnprocessableEntity, map[string]string{"error": "not valid"})
		return
	}
	answer(w, http.StatusOK, p)
}

var client = &http.Client{
	Timeout:   10 * time.Second,
	Transport: &http.Transport{MaxIdleConns: 0, MaxIdleConnsPerHost: 256, DisableCompression: true},
}

func fetch(url string, into *json.RawMessage, done chan<- error) {
	response, err := client.Get(url)
	if err != nil {
		done <- err
		return
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil {
		err = json.Unmarshal(body, into)
	}
	done <- err
}

func main() {
	cities, roles := os.Getenv("BENCH_CITIES"), os.Getenv("BENCH_ROLES")
	mux := http.NewServeMux()
	mux.HandleFunc("/plain", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		io.WriteString(w, "Hello, World!")
	})
	mux.HandleFunc("/json", func(w http.ResponseWriter, r *http.Request) {
		answer(w, http.StatusOK, message{"Hello, World!"})
	})
	mux.HandleFunc("/items/", func(w http.ResponseWriter, r *http.Request) {
		if id, ok := idOf(w, r, "/items/"); ok {
			answer(w, http.StatusOK, item{id, "item " + strconv.Itoa(id)})
		}
	})
	mux.HandleFunc("/people", create)
	mux.HandleFunc("/fan/", func(w http.ResponseWriter, r *http.Request) {
		id, ok := idOf(w, r, "/fan/")
		if !ok {
			return
		}
		found := fan{ID: id}
		done := make(chan error, 2)
		number := strconv.Itoa(id)
		go fetch(cities+"/cities/"+number, &found.City, done)
		go fetch(roles+"/roles/"+number, &found.Role, done)
		first, second := <-done, <-done
		if first != nil || second != nil {
			http.Error(w, "bad gateway", http.StatusBadGateway)
			return
		}
		answer(w, http.StatusOK, found)
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("BENCH_PORT"), mux))
}
