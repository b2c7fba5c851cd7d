// Go's net/http. usage: peer CONCURRENCY default|tuned [CAFILE] < urls > records
package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"sync"
)

func main() {
	concurrency, _ := strconv.Atoi(os.Args[1])
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DisableCompression = true
	transport.ForceAttemptHTTP2 = false
	transport.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	if os.Args[2] == "tuned" {
		transport.MaxIdleConns = 0
		transport.MaxIdleConnsPerHost = concurrency
	}
	if len(os.Args) > 3 {
		pem, err := os.ReadFile(os.Args[3])
		if err != nil {
			panic(err)
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(pem)
		transport.TLSClientConfig = &tls.Config{RootCAs: pool}
	}
	client := &http.Client{Transport: transport}
	urls := make(chan string, concurrency)
	records := make(chan string, concurrency)
	var workers, writer sync.WaitGroup
	writer.Add(1)
	go func() {
		defer writer.Done()
		out := bufio.NewWriter(os.Stdout)
		defer out.Flush()
		for record := range records {
			out.WriteString(record)
		}
	}()
	for i := 0; i < concurrency; i++ {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for url := range urls {
				response, err := client.Get(url)
				if err != nil {
					records <- fmt.Sprintf("%s error %v\n", url, err)
					continue
				}
				n, err := io.Copy(io.Discard, response.Body)
				response.Body.Close()
				records <- fmt.Sprintf("%s %d %d %v\n", url, response.StatusCode, n, err)
			}
		}()
	}
	scanner := bufio.NewScanner(os.Stdin)
	for scanner.Scan() {
		urls <- scanner.Text()
	}
	close(urls)
	workers.Wait()
	close(records)
	writer.Wait()
}
