/* Keeps the line that TensorFlow logs while it is being loaded off the terminal: close() sends stderr to /dev/null,
   open() brings it back. Node itself cannot redirect a file descriptor. */
#include <node_api.h>
#include <fcntl.h>
#include <unistd.h>
static int saved = -1;
static napi_value Close(napi_env env, napi_callback_info info) {
  (void)info;
  int null_fd = open("/dev/null", O_WRONLY);
  if (null_fd >= 0) { saved = dup(2); dup2(null_fd, 2); close(null_fd); }
  return NULL;
}
static napi_value Open(napi_env env, napi_callback_info info) {
  (void)info;
  if (saved >= 0) { dup2(saved, 2); close(saved); saved = -1; }
  return NULL;
}
NAPI_MODULE_INIT() {
  napi_value close_fn, open_fn;
  napi_create_function(env, "close", NAPI_AUTO_LENGTH, Close, NULL, &close_fn);
  napi_create_function(env, "open", NAPI_AUTO_LENGTH, Open, NULL, &open_fn);
  napi_set_named_property(env, exports, "close", close_fn);
  napi_set_named_property(env, exports, "open", open_fn);
  return exports;
}
