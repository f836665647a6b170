// The installed libcurl, and its variadic calls with one C function for each type of argument.
#pragma once
#include <curl/curl.h>
#include <stddef.h>
#include <sys/socket.h>

/// libcurl's type of the functions that read a body, write a body and receive a header.
typedef size_t (*ccurl_data_function)(char *bytes, size_t size, size_t count, void *context);
/// libcurl's type of the function that moves the position of a request's body.
typedef int (*ccurl_seek_function)(void *context, curl_off_t offset, int origin);

static inline CURLcode ccurl_set_long(CURL *easy, CURLoption option, long value) {
  return curl_easy_setopt(easy, option, value);
}

static inline CURLcode ccurl_set_offset(CURL *easy, CURLoption option, curl_off_t value) {
  return curl_easy_setopt(easy, option, value);
}

/// libcurl copies the text. NULL clears the option.
static inline CURLcode ccurl_set_text(CURL *easy, CURLoption option, const char *value) {
  return curl_easy_setopt(easy, option, value);
}

/// libcurl keeps the pointer.
static inline CURLcode ccurl_set_pointer(CURL *easy, CURLoption option, void *value) {
  return curl_easy_setopt(easy, option, value);
}

static inline CURLcode ccurl_set_function(CURL *easy, CURLoption option, ccurl_data_function value) {
  return curl_easy_setopt(easy, option, value);
}

static inline CURLcode ccurl_set_seek(CURL *easy, ccurl_seek_function value) {
  return curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, value);
}

/// libcurl's type of the function that it calls about once a second; not zero ends the transfer.
typedef int (*ccurl_progress_function)(
    void *context, curl_off_t download, curl_off_t downloaded, curl_off_t upload, curl_off_t uploaded);

static inline CURLcode ccurl_set_progress(CURL *easy, ccurl_progress_function value) {
  return curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, value);
}

/// Opens a socket that programs started by this process do not inherit.
static inline curl_socket_t ccurl_open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address) {
  (void)context;
  (void)purpose;
  return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static inline CURLcode ccurl_close_sockets_on_exec(CURL *easy) {
  return curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, ccurl_open_socket);
}

/// libcurl before 7.85 has only the older of the two options.
static inline CURLcode ccurl_allow_protocols(CURL *easy, const char *names, long bits) {
  CURLcode result = curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, names);
  if (result != CURLE_UNKNOWN_OPTION) return result;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  return curl_easy_setopt(easy, CURLOPT_PROTOCOLS, bits);
#pragma GCC diagnostic pop
}

/// Allows HTTP and HTTPS only.
static inline CURLcode ccurl_allow_web_only(CURL *easy) {
  return ccurl_allow_protocols(easy, "http,https", CURLPROTO_HTTP | CURLPROTO_HTTPS);
}

/// Allows SMTP and SMTPS only.
static inline CURLcode ccurl_allow_mail_only(CURL *easy) {
  return ccurl_allow_protocols(easy, "smtp,smtps", CURLPROTO_SMTP | CURLPROTO_SMTPS);
}

/// The file of certificate authorities that libcurl uses by default; NULL if it has none.
static inline const char *ccurl_default_authorities(void) {
  curl_version_info_data *info = curl_version_info(CURLVERSION_NOW);
  return info->age >= CURLVERSION_SEVENTH ? info->cainfo : NULL;
}

static inline CURLcode ccurl_get_long(CURL *easy, CURLINFO info, long *value) {
  return curl_easy_getinfo(easy, info, value);
}

static inline CURLcode ccurl_get_offset(CURL *easy, CURLINFO info, curl_off_t *value) {
  return curl_easy_getinfo(easy, info, value);
}

static inline CURLMcode ccurl_multi_set_long(CURLM *multi, CURLMoption option, long value) {
  return curl_multi_setopt(multi, option, value);
}
