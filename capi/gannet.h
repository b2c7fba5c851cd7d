#ifndef GANNET_H
#define GANNET_H

/* Made by cbindgen from capi/src; `cargo test -p gannet-capi` says when it is not fresh. */

#include <stddef.h>
#include <stdint.h>

/*
 All went well.
 */
#define GANNET_OK 0

/*
 An argument makes no sense; the text says which.
 */
#define GANNET_E_ARGUMENT 1

/*
 As many requests are held as was allowed; see gannet_wants.
 */
#define GANNET_E_FULL 2

/*
 The URL, a header line or the method can't be sent.
 */
#define GANNET_E_REQUEST 3

/*
 The options can't work together.
 */
#define GANNET_E_CONFIG 4

/*
 The operating system refused; the text says what.
 */
#define GANNET_E_SYSTEM 5

/*
 Called from within a callback, where only functions of gannet_ctl may be called.
 */
#define GANNET_E_REENTERED 6

/*
 A defect of gannet: the handle can only be freed.
 */
#define GANNET_E_DEFECT 7

/*
 The loop that a remote belongs to is gone.
 */
#define GANNET_E_CLOSED 8

/*
 The loop comes to an end, by gannet_drain, and takes nothing any more.
 */
#define GANNET_E_DRAINING 9

/*
 Numbers for a device that counts its kilobytes.
 */
#define GANNET_TINY 1

/*
 Numbers for most programs: what zero means.
 */
#define GANNET_DEFAULT 2

/*
 Numbers for a machine that does nothing else.
 */
#define GANNET_WIDE 3

/*
 What a head callback answers: deliver the body.
 */
#define GANNET_GO_ON 0

/*
 What a head callback answers: the body is of no interest; the request ends well.
 */
#define GANNET_SKIP_BODY 1

/*
 What a head callback answers: this is not what was wanted; the request fails as `filtered`.
 */
#define GANNET_STOP 2

/*
 What a head callback answers: deliver what was read with the head (a short body may be all there),
 and read on only after gannet_resume.
 */
#define GANNET_PAUSE 3

/*
 What an upload callback answers when it has nothing now; gannet_resume when there is.
 */
#define GANNET_UPLOAD_PENDING -1

/*
 What an upload callback answers to end the request.
 */
#define GANNET_UPLOAD_ABORT -2

/*
 How much a line of the log matters, for gannet_set_log.
 */
#define GANNET_LOG_WARN 1

/*
 Another attempt follows, or a request failed.
 */
#define GANNET_LOG_INFO 2

/*
 A limit changed.
 */
#define GANNET_LOG_DEBUG 3

/*
 Each request and connection.
 */
#define GANNET_LOG_TRACE 4

/*
 A loop: requests, connections, and what they share. For one thread.
 */
typedef struct gannet gannet;

/*
 What may be asked for within a callback. Valid during the callback.
 */
typedef struct gannet_ctl gannet_ctl;

/*
 The head of a request that is about to be sent. Valid during the callback.
 */
typedef struct gannet_draft gannet_draft;

/*
 A handle for other threads.
 */
typedef struct gannet_remote gannet_remote;

/*
 What a loop is made with. Fill it with zeros, set `size`, then what matters: zero means the
 preset's own number.
 */
typedef struct gannet_options {
  /*
   sizeof(gannet_options).
   */
  size_t size;
  /*
   GANNET_TINY, GANNET_DEFAULT or GANNET_WIDE.
   */
  uint32_t preset;
  /*
   Connections in all.
   */
  uint32_t max_connections;
  /*
   Connections a host; 0: found while running.
   */
  uint32_t max_per_host;
  /*
   Requests held at once.
   */
  uint32_t max_jobs;
  /*
   Attempts a request, the first one included.
   */
  uint32_t attempts;
  /*
   Not 0: nothing is ever sent twice.
   */
  uint32_t no_repeats;
  /*
   Name, TCP and TLS together.
   */
  uint32_t connect_timeout_ms;
  /*
   From the request written to the answer's first byte.
   */
  uint32_t first_byte_timeout_ms;
  /*
   Without one byte of the body.
   */
  uint32_t stall_timeout_ms;
  /*
   Bytes of the one read buffer, once reads have filled smaller ones (256 KiB).
   */
  uint32_t read_buffer;
  /*
   Certificates to trust in place of Mozilla's, as PEM; NULL: Mozilla's.
   */
  const char *ca_pem;
  /*
   How many bytes of them.
   */
  size_t ca_pem_len;
  /*
   Not 0: trust anyone, whatever the certificate says.
   */
  uint32_t insecure;
  /*
   Not 0: no address in private networks is connected to because a public host redirects there.
   */
  uint32_t guard_redirects;
  /*
   `HOST:PORT:ADDRESS[,ADDRESS]` lines, as curl's --resolve; NULL: none. Ends in NUL.
   */
  const char *resolve;
  /*
   Seeds all that is drawn by lot; 0: from the system.
   */
  uint64_t seed;
} gannet_options;

/*
 Why a call failed. The caller's own; NULL may be passed where it is of no interest.
 */
typedef struct gannet_error {
  /*
   One of GANNET_E_.
   */
  int code;
  /*
   A sentence, ending in NUL.
   */
  char text[252];
} gannet_error;

/*
 Names a request, from gannet_submit to its done callback. Never 0.
 */
typedef uint64_t gannet_ticket;

/*
 What is asked for. Fill it with zeros, set `size` and `url`, then what matters.
 */
typedef struct gannet_request {
  /*
   sizeof(gannet_request).
   */
  size_t size;
  /*
   Where to. Ends in NUL.
   */
  const char *url;
  /*
   The method; NULL: GET, or POST with a body. Ends in NUL.
   */
  const char *method;
  /*
   `Name: value` lines, each ending in NUL; `Name:` removes a default one.
   */
  const char *const *headers;
  /*
   How many of them.
   */
  size_t headers_len;
  /*
   A body in memory; NULL: none. It is copied.
   */
  const uint8_t *body;
  /*
   How many bytes of it.
   */
  size_t body_len;
  /*
   Not 0: the body comes from the upload callback instead.
   */
  uint32_t upload;
  /*
   The upload's length; UINT64_MAX: unknown.
   */
  uint64_t upload_len;
  /*
   Not 0: the upload callback can begin again from offset 0.
   */
  uint32_t upload_again;
  /*
   The caller's own number: comes with every callback.
   */
  uint64_t tag;
  /*
   Not 0: follow redirects.
   */
  uint32_t follow;
  /*
   Not 0: ask for a compressed answer, and decode it.
   */
  uint32_t compressed;
  /*
   Not 0: before the ordinary requests of its host.
   */
  uint32_t urgent;
  /*
   Not 0: may be sent twice though its method is not idempotent.
   */
  uint32_t retry_unsafe;
  /*
   Not 0: never sent twice.
   */
  uint32_t no_repeats;
  /*
   Attempts, the first one included; 0: as the options say.
   */
  uint32_t attempts;
  /*
   One attempt with its redirects; 0: as the options say.
   */
  uint32_t timeout_ms;
  /*
   A body larger than this is an error; 0: no bound.
   */
  uint64_t max_bytes;
  /*
   From the request written to the answer's first byte; 0: as the options say, UINT32_MAX: as long
   as it takes.
   */
  uint32_t first_byte_timeout_ms;
  /*
   Without one byte of the body; 0: as the options say, UINT32_MAX: as long as it takes.
   */
  uint32_t stall_timeout_ms;
} gannet_request;

/*
 Bytes that are somebody else's, without a NUL at the end.
 */
typedef struct gannet_str {
  /*
   The first byte; never NULL.
   */
  const char *ptr;
  /*
   How many.
   */
  size_t len;
} gannet_str;

/*
 A field line of a head.
 */
typedef struct gannet_field {
  /*
   Its name, as it was sent.
   */
  struct gannet_str name;
  /*
   Its value, without blanks around it.
   */
  struct gannet_str value;
} gannet_field;

/*
 The head of an answer, valid during the callback.
 */
typedef struct gannet_head {
  /*
   Bytes of this struct that are there.
   */
  size_t size;
  /*
   The status.
   */
  uint32_t status;
  /*
   Redirects before it.
   */
  uint32_t redirects;
  /*
   Where it came from.
   */
  struct gannet_str url;
  /*
   Where a redirect leads; empty in a head callback.
   */
  struct gannet_str location;
  /*
   Field lines, in order.
   */
  const struct gannet_field *fields;
  /*
   How many of them.
   */
  size_t fields_len;
  /*
   The length of the body as it comes over the wire; UINT64_MAX: unknown.
   */
  uint64_t length;
} gannet_head;

/*
 How a request ended, valid during the callback.
 */
typedef struct gannet_result {
  /*
   Bytes of this struct that are there.
   */
  size_t size;
  /*
   Not 0: it ended well, with `status`.
   */
  uint32_t ok;
  /*
   The last status that came, also where the request failed afterwards; 0: none.
   */
  uint32_t status;
  /*
   What went wrong, as one stable word (docs/errors.md lists them); empty when it ended well.
   */
  struct gannet_str error;
  /*
   The same in a sentence, with what to do about it.
   */
  struct gannet_str text;
  /*
   curl's exit code for it; 0 when it ended well.
   */
  uint32_t curl_code;
  /*
   Attempts made.
   */
  uint32_t attempts;
  /*
   Redirects followed.
   */
  uint32_t redirects;
  /*
   Not 0: the connection had served before.
   */
  uint32_t reused;
  /*
   Where redirects led.
   */
  struct gannet_str url;
  /*
   Bytes of the body that were delivered.
   */
  uint64_t body_bytes;
  /*
   Bytes of the answers on the wire, TLS not counted.
   */
  uint64_t wire_bytes;
  /*
   Microseconds from the first attempt to the end.
   */
  uint64_t total_us;
  /*
   Microseconds from the request written to the answer's first byte.
   */
  uint64_t first_byte_us;
} gannet_result;

/*
 Who is told. Fill it with zeros, set `size`, then the callbacks that matter: any of them may be
 NULL. They must not throw, jump out, or call anything but functions of gannet_ctl.
 */
typedef struct gannet_callbacks {
  /*
   sizeof(gannet_callbacks).
   */
  size_t size;
  /*
   Handed to every callback.
   */
  void *user;
  /*
   A final head came; answers GANNET_GO_ON, GANNET_SKIP_BODY, GANNET_STOP or GANNET_PAUSE.
   It comes again after `restart`.
   */
  int (*head)(void *user,
              struct gannet_ctl *ctl,
              gannet_ticket ticket,
              uint64_t tag,
              const struct gannet_head *head);
  /*
   Bytes of the body came.
   */
  void (*body)(void *user,
               struct gannet_ctl *ctl,
               gannet_ticket ticket,
               uint64_t tag,
               const uint8_t *data,
               size_t len);
  /*
   What was delivered for this request is void: the body comes again from the start.
   */
  void (*restart)(void *user, struct gannet_ctl *ctl, gannet_ticket ticket, uint64_t tag);
  /*
   Whether a redirect is followed: not 0 is yes.
   */
  int (*redirect)(void *user, gannet_ticket ticket, uint64_t tag, const struct gannet_head *head);
  /*
   Whether a request may be sent once more, though the rules allow it: not 0 is yes. `error` is
   what ended the attempt, `status` 0 unless an answer asked to come back.
   */
  int (*repeat)(void *user,
                gannet_ticket ticket,
                uint64_t tag,
                struct gannet_str error,
                uint32_t status);
  /*
   More of an upload is wanted: write at most `room` bytes from offset `at` on to `out` and
   answer how many; 0 is the end, or GANNET_UPLOAD_PENDING or GANNET_UPLOAD_ABORT.
   */
  ptrdiff_t (*upload)(void *user,
                      struct gannet_ctl *ctl,
                      gannet_ticket ticket,
                      uint64_t tag,
                      uint64_t at,
                      uint8_t *out,
                      size_t room);
  /*
   Whether a connection to `address` (`192.0.2.1:443`) may be opened: not 0 is yes.
   */
  int (*allow)(void *user, struct gannet_str address);
  /*
   The request is at its end, exactly once; its ticket is dead from now on.
   */
  void (*done)(void *user,
               struct gannet_ctl *ctl,
               gannet_ticket ticket,
               uint64_t tag,
               const struct gannet_result *result);
  /*
   An attempt is about to be sent, at this hop: gannet_draft_set may still change its fields, so
   that signatures and tokens that expire are made anew.
   */
  void (*prepare)(void *user, gannet_ticket ticket, uint64_t tag, struct gannet_draft *draft);
} gannet_callbacks;

/*
 Takes lines of the log: `text` ends in NUL.
 */
typedef void (*gannet_log)(void *user, int level, const char *text);

/*
 What is known of a host, valid during the callback. Numbers are of the loop's whole life.
 */
typedef struct gannet_host {
  /*
   Bytes of this struct that are there.
   */
  size_t size;
  /*
   `http` or `https`.
   */
  struct gannet_str scheme;
  /*
   Its name, or its address.
   */
  struct gannet_str host;
  /*
   Its port.
   */
  uint32_t port;
  /*
   Not 0: it is given up, none of its addresses accepts a connection.
   */
  uint32_t down;
  /*
   Connections that it may have now.
   */
  uint32_t limit;
  /*
   Connections that it has now.
   */
  uint32_t connections;
  /*
   The most that it had at once.
   */
  uint32_t peak;
  /*
   Requests that wait for it.
   */
  uint32_t queued;
  /*
   How the limit came about, as one stable word: `fixed`, `growing`, `ceiling`, `hard_limit`, `queue`,
   `bandwidth`, `thrash`, `outage`.
   */
  struct gannet_str finding;
  /*
   The same in a sentence, with its numbers.
   */
  struct gannet_str why;
  /*
   The rate that it was found to bear, or asked for, in thousandths of a request a second; 0: none is known.
   */
  uint64_t rate_milli;
  /*
   Milliseconds for which it asked to be left alone, from now on; 0: it did not.
   */
  uint64_t closed_ms;
  /*
   What its user could do, as one stable word: `check_that_it_runs`, `come_back_later`, `slow_down`,
   `ask_for_more`, `use_fewer`, `ask_why`, `allow_more`; empty: nothing.
   */
  struct gannet_str remedy;
  /*
   As what the last request failed that failed for good (docs/errors.md); empty: none did.
   */
  struct gannet_str error;
  /*
   Requests sent, repeats included.
   */
  uint64_t requests;
  /*
   Answers that came to their end.
   */
  uint64_t responses;
  /*
   Bytes of their bodies, as they came over the wire.
   */
  uint64_t bytes;
  /*
   Connections that were established.
   */
  uint64_t opened;
  /*
   Connections that could not be opened.
   */
  uint64_t open_failures;
  /*
   Fresh connections that were reset or closed before an answer.
   */
  uint64_t fresh_resets;
  /*
   Kept connections that turned out to be closed when a request went out.
   */
  uint64_t stale;
  /*
   Idle connections that the server closed.
   */
  uint64_t idle_closes;
  /*
   Time-outs of any phase after the connection was there.
   */
  uint64_t timeouts;
  /*
   Answers of 429.
   */
  uint64_t too_many;
  /*
   Answers of 503.
   */
  uint64_t unavailable;
  /*
   Attempts that were made again.
   */
  uint64_t repeats;
  /*
   Bodies that were continued instead of begun again.
   */
  uint64_t resumed;
  /*
   Requests that failed for good, those that were called off left out.
   */
  uint64_t failed;
} gannet_host;

/*
 Takes what is known of one host.
 */
typedef void (*gannet_host_callback)(void *user, const struct gannet_host *host);

/*
 What is known of an address that several hosts share, valid during the callback.
 */
typedef struct gannet_address {
  /*
   Bytes of this struct that are there.
   */
  size_t size;
  /*
   The address, without a port.
   */
  struct gannet_str address;
  /*
   Hosts that were seen there.
   */
  uint32_t hosts;
  /*
   Connections that all of them together may have now.
   */
  uint32_t limit;
  /*
   Connections that they have now.
   */
  uint32_t connections;
  /*
   How the limit came about, in the words of gannet_host.
   */
  struct gannet_str finding;
  /*
   The same in a sentence, with its numbers.
   */
  struct gannet_str why;
} gannet_address;

/*
 Takes what is known of one address.
 */
typedef void (*gannet_address_callback)(void *user, const struct gannet_address *address);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/*
 The library's version, as in `0.1.0`.
 */
const char *gannet_version(void);

/*
 A new loop; NULL and an error where there is none. `options` may be NULL. Free it with
 gannet_free.
 */
struct gannet *gannet_new(const struct gannet_options *options, struct gannet_error *error);

/*
 Bytes of heap that a loop made with these options holds at most, over TLS as well, while it
 asks at most `hosts` different servers, with URLs and heads of requests of at most `request_bytes`
 together; 0 and an error where the options can't work. Nothing is made or opened. Not in it: the
 certificates that are trusted, remembered TLS sessions, cached names, decoders of compressed
 answers, bodies that are sent, and what the caller keeps. `options` may be NULL.
 */
size_t gannet_most_bytes(const struct gannet_options *options,
                         size_t hosts,
                         size_t request_bytes,
                         struct gannet_error *error);

/*
 Closes everything at once; no callback comes any more. NULL is fine. Within a callback of this
 handle it does nothing: the call that is running still needs it.
 */
void gannet_free(struct gannet *handle);

/*
 Takes a request: it begins with the next gannet_turn. Gives its ticket; 0 and an error where it
 is not taken: GANNET_E_FULL when it would be later, GANNET_E_DRAINING when not any more.
 */
gannet_ticket gannet_submit(struct gannet *handle,
                            const struct gannet_request *request,
                            struct gannet_error *error);

/*
 The one descriptor to watch for readability (poll, epoll, libuv, glib, in level- or
 edge-triggered mode). It stays the same. -1 within a callback.
 */
int gannet_fd(struct gannet *handle);

/*
 When gannet_turn wants to be called at the latest: in so many milliseconds, rounded up; -1 when
 only the descriptor can bring something. Ask again after each call to this handle.
 */
int64_t gannet_timeout_ms(struct gannet *handle);

/*
 One turn: waits for at most `timeout_ms` (0: does not wait; negative: until something happens),
 and tells `callbacks` what happened.
 */
int gannet_turn(struct gannet *handle,
                int64_t timeout_ms,
                const struct gannet_callbacks *callbacks,
                struct gannet_error *error);

/*
 Turns until nothing is left to do: for programs that have no loop of their own.
 */
int gannet_run(struct gannet *handle,
               const struct gannet_callbacks *callbacks,
               struct gannet_error *error);

/*
 How many more requests are taken now.
 */
size_t gannet_wants(struct gannet *handle);

/*
 How many requests are held.
 */
size_t gannet_in_flight(struct gannet *handle);

/*
 Stops reading an answer: back-pressure to its server. What was read already is still delivered,
 one read buffer at most; where that is all of it, the request is done.
 */
int gannet_pause(struct gannet *handle, gannet_ticket ticket);

/*
 Goes on reading an answer, or asks for more of an upload.
 */
int gannet_resume(struct gannet *handle, gannet_ticket ticket);

/*
 Calls a request off: the next turn tells that it is done, as `cancelled`.
 */
int gannet_cancel(struct gannet *handle, gannet_ticket ticket);

/*
 Calls everything off.
 */
int gannet_cancel_all(struct gannet *handle);

/*
 Comes to an end: takes no more requests, and calls off what is not done within `ms`.
 */
int gannet_drain(struct gannet *handle, uint64_t ms);

/*
 Lines of a log go to `log` from now on, up to this level (GANNET_LOG_), at the end of each turn;
 NULL: none any more. `log` may not call this handle.
 */
int gannet_set_log(struct gannet *handle, int level, gannet_log log, void *user);

/*
 Tells `each` what is known of every host that was asked so far: its limit and why that is what it
 is, what went wrong there, what could be done. `each` may not call this handle.
 */
int gannet_host_stats(struct gannet *handle, gannet_host_callback each, void *user);

/*
 Tells `each` of every address that several hosts were found to share: they share its limit, too.
 `each` may not call this handle.
 */
int gannet_address_stats(struct gannet *handle, gannet_address_callback each, void *user);

/*
 Within a callback: takes another request. Its ticket comes with its first callback; until then
 its tag is its name. In `done` the place of the request that is done is free already.
 */
int gannet_ctl_submit(struct gannet_ctl *ctl,
                      const struct gannet_request *request,
                      struct gannet_error *error);

/*
 Within a callback: how many more requests are taken.
 */
size_t gannet_ctl_wants(struct gannet_ctl *ctl);

/*
 Within a callback: as gannet_pause. Commands are carried out when the callback has returned and
 the bytes that it was about are handled; nothing calls back meanwhile.
 */
int gannet_ctl_pause(struct gannet_ctl *ctl, gannet_ticket ticket);

/*
 Within a callback: as gannet_resume.
 */
int gannet_ctl_resume(struct gannet_ctl *ctl, gannet_ticket ticket);

/*
 Within a callback: calls a request off, be it the callback's own: nothing more of it is
 delivered, and its done callback says `cancelled`, even if the same bytes brought its end. In its
 own done callback it is too late, and does nothing.
 */
int gannet_ctl_cancel(struct gannet_ctl *ctl, gannet_ticket ticket);

/*
 Within a callback: as gannet_cancel_all, the callback's own request included.
 */
int gannet_ctl_cancel_all(struct gannet_ctl *ctl);

/*
 A handle for other threads, at most `most` of whose requests wait at a time; NULL and an error
 where there is none. Free it with gannet_remote_free, before or after the loop.
 */
struct gannet_remote *gannet_remote_new(struct gannet *handle,
                                        size_t most,
                                        struct gannet_error *error);

/*
 Frees a remote; NULL is fine.
 */
void gannet_remote_free(struct gannet_remote *remote);

/*
 From any thread: takes a request and wakes the loop. What is wrong with it beyond its form is
 told by its done callback.
 */
int gannet_remote_submit(const struct gannet_remote *remote,
                         const struct gannet_request *request,
                         struct gannet_error *error);

/*
 From any thread: as gannet_resume, for all requests with this tag that wait. GANNET_E_FULL where
 as many resumes and cancels wait for the loop as requests may: say it again then.
 */
int gannet_remote_resume(const struct gannet_remote *remote, uint64_t tag);

/*
 From any thread: calls off all requests with this tag that were submitted so far.
 */
int gannet_remote_cancel(const struct gannet_remote *remote, uint64_t tag);

/*
 From any thread: calls off everything that was submitted so far.
 */
int gannet_remote_cancel_all(const struct gannet_remote *remote);

/*
 From any thread: wakes the loop. The turn that is waiting returns.
 */
int gannet_remote_wake(const struct gannet_remote *remote);

/*
 Within prepare: gives a field this value, in place of all that it had; a NULL value takes it out.
 GANNET_E_REQUEST where nothing was changed: the field is the library's own (framing), is not fit to
 be sent, or, to be taken out, was not there.
 */
int gannet_draft_set(struct gannet_draft *draft,
                     const char *name,
                     const char *value,
                     size_t value_len);

/*
 Within prepare: the request line and the field lines as they stand, to be signed. Valid until
 gannet_draft_set changes them.
 */
struct gannet_str gannet_draft_bytes(struct gannet_draft *draft);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* GANNET_H */
