// The addon: stored matrices by number for JavaScript, and two TensorFlow ops that read them, so that activations and results
// stay TensorFlow's tensors.
#include <node_api.h>

#include <atomic>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "mapping.h"
#include "product.h"
#include "tensorflow/c/kernels.h"
#include "tensorflow/c/ops.h"
#include "tensorflow/c/tf_tensor.h"
#include "threads.h"

namespace tracer {
namespace {

std::mutex mutex;
std::map<int32_t, Matrix> matrices;
int32_t nextMatrix = 0;

bool find(int32_t id, Matrix& found) {
  std::lock_guard<std::mutex> lock(mutex);
  const auto entry = matrices.find(id);
  if (entry == matrices.end()) return false;
  found = entry->second;
  return true;
}

// ---- TensorFlow

struct DeleteTensor {
  void operator()(TF_Tensor* tensor) const { TF_DeleteTensor(tensor); }
};
using Tensor = std::unique_ptr<TF_Tensor, DeleteTensor>;
struct DeleteStatus {
  void operator()(TF_Status* status) const { TF_DeleteStatus(status); }
};
using Status = std::unique_ptr<TF_Status, DeleteStatus>;

struct Options {
  bool flag;  // `transpose` of a product, `columns` of a gather
};

void* createKernel(TF_OpKernelConstruction* construction) {
  const Status status(TF_NewStatus());
  unsigned char flag = 0;
  TF_OpKernelConstruction_GetAttrBool(construction, "flag", &flag, status.get());
  if (TF_GetCode(status.get()) != TF_OK) TF_OpKernelConstruction_Failure(construction, status.get());
  return new Options{flag != 0};
}

void deleteKernel(void* kernel) { delete static_cast<Options*>(kernel); }

void fail(TF_OpKernelContext* context, TF_Code code, const std::string& message) {
  const Status status(TF_NewStatus());
  TF_SetStatus(status.get(), code, message.c_str());
  TF_OpKernelContext_Failure(context, status.get());
}

Tensor input(TF_OpKernelContext* context, int index) {
  const Status status(TF_NewStatus());
  TF_Tensor* tensor = nullptr;
  TF_GetInput(context, index, &tensor, status.get());
  return Tensor(tensor);
}

float* allocate(TF_OpKernelContext* context, int64_t rows, int64_t columns, Tensor& output) {
  const Status status(TF_NewStatus());
  const int64_t shape[2] = {rows, columns};
  const size_t bytes = static_cast<size_t>(rows * columns) * sizeof(float);
  output.reset(TF_AllocateOutput(context, 0, TF_FLOAT, shape, 2, bytes, status.get()));
  if (TF_GetCode(status.get()) == TF_OK) return static_cast<float*>(TF_TensorData(output.get()));
  TF_OpKernelContext_Failure(context, status.get());
  return nullptr;
}

// The matrix of an input that holds its number.
bool matrixOf(TF_OpKernelContext* context, int index, Matrix& matrix) {
  const Tensor number = input(context, index);
  if (number && find(*static_cast<int32_t*>(TF_TensorData(number.get())), matrix)) return true;
  fail(context, TF_INVALID_ARGUMENT, "a stored matrix was used after it was freed");
  return false;
}

void refuseCutFile(TF_OpKernelContext* context) {
  std::string path;
  if (takeCutFile(path)) fail(context, TF_DATA_LOSS, "TRACER_CUT_FILE " + path);
}

void computeProduct(void* kernel, TF_OpKernelContext* context) {
  const bool transpose = static_cast<Options*>(kernel)->flag;
  Matrix w;
  if (!matrixOf(context, 1, w)) return;
  const Tensor x = input(context, 0);
  const int64_t n = TF_Dim(x.get(), 0);
  const int64_t inner = transpose ? w.columns : w.rows;
  if (TF_NumDims(x.get()) != 2 || TF_Dim(x.get(), 1) != inner) {
    fail(context, TF_INVALID_ARGUMENT, "the inner dimensions of a product with a stored matrix differ");
    return;
  }
  Tensor output;
  float* const y = allocate(context, n, transpose ? w.rows : w.columns, output);
  if (!y) return;
  product(static_cast<const float*>(TF_TensorData(x.get())), n, w, transpose, y);
  refuseCutFile(context);
}

void computeGather(void* kernel, TF_OpKernelContext* context) {
  const bool columns = static_cast<Options*>(kernel)->flag;
  Matrix w;
  if (!matrixOf(context, 1, w)) return;
  const Tensor picked = input(context, 0);
  const int64_t n = TF_TensorElementCount(picked.get());
  const int32_t* const indices = static_cast<const int32_t*>(TF_TensorData(picked.get()));
  const int64_t limit = columns ? w.columns : w.rows;
  for (int64_t i = 0; i < n; i++) {
    if (indices[i] >= 0 && indices[i] < limit) continue;
    fail(context, TF_OUT_OF_RANGE, "row " + std::to_string(indices[i]) + " of " + std::to_string(limit));
    return;
  }
  Tensor output;
  float* const out = allocate(context, n, columns ? w.rows : w.columns, output);
  if (!out) return;
  if (columns) gatherColumns(w, indices, n, out);
  else gatherRows(w, indices, n, out);
  refuseCutFile(context);
}

void unknownShape(TF_ShapeInferenceContext* context, TF_Status* status) {
  TF_ShapeInferenceContextSetUnknownShape(context, status);
}

// False where TensorFlow refuses an op or its kernel.
bool registerOp(const char* name, const char* firstInput, void (*compute)(void*, TF_OpKernelContext*)) {
  const Status status(TF_NewStatus());
  TF_OpDefinitionBuilder* const op = TF_NewOpDefinitionBuilder(name);
  TF_OpDefinitionBuilderAddInput(op, firstInput);
  TF_OpDefinitionBuilderAddInput(op, "matrix: int32");
  TF_OpDefinitionBuilderAddOutput(op, "y: float");
  TF_OpDefinitionBuilderAddAttr(op, "flag: bool = false");
  TF_OpDefinitionBuilderSetIsStateful(op, true);  // what a number stands for changes: results must not be reused
  TF_OpDefinitionBuilderSetShapeInferenceFunction(op, unknownShape);
  TF_RegisterOpDefinition(op, status.get());
  if (TF_GetCode(status.get()) != TF_OK) return false;
  TF_KernelBuilder* const kernel = TF_NewKernelBuilder(name, "CPU", createKernel, compute, deleteKernel);
  TF_RegisterKernelBuilder(name, kernel, status.get());
  return TF_GetCode(status.get()) == TF_OK;
}

// ---- JavaScript

napi_value throwError(napi_env env, const std::string& message) {
  napi_throw_error(env, nullptr, message.c_str());
  return nullptr;
}

template <int N>
void arguments(napi_env env, napi_callback_info info, napi_value (&values)[N]) {
  size_t count = N;
  napi_get_cb_info(env, info, &count, values, nullptr, nullptr);
}

int64_t integer(napi_env env, napi_value value) {
  int64_t number = -1;
  napi_get_value_int64(env, value, &number);
  return number;
}

napi_value numberValue(napi_env env, int64_t number) {
  napi_value value;
  napi_create_int64(env, number, &value);
  return value;
}

// mapFile(descriptor, path): the mapping's number. The path is for messages.
napi_value mapFile(napi_env env, napi_callback_info info) {
  napi_value args[2];
  arguments(env, info, args);
  size_t length = 0;
  if (napi_get_value_string_utf8(env, args[1], nullptr, 0, &length) != napi_ok) return throwError(env, "path expected");
  std::string path(length + 1, '\0');
  napi_get_value_string_utf8(env, args[1], &path[0], length + 1, &length);
  path.resize(length);
  std::string error;
  const int32_t id = openMapping(static_cast<int>(integer(env, args[0])), path, error);
  return id < 0 ? throwError(env, error) : numberValue(env, id);
}

// unmapFile(mapping). Its matrices must be freed before.
napi_value unmapFile(napi_env env, napi_callback_info info) {
  napi_value args[1];
  arguments(env, info, args);
  closeMapping(static_cast<int32_t>(integer(env, args[0])));
  return nullptr;
}

// forgetPages(mapping, offset, bytes)
napi_value forget(napi_env env, napi_callback_info info) {
  napi_value args[3];
  arguments(env, info, args);
  forgetPages(static_cast<int32_t>(integer(env, args[0])), integer(env, args[1]), integer(env, args[2]));
  return nullptr;
}

// addMatrix(mapping | Uint8Array, offset, rows, columns, type): the matrix' number. Bytes of an array stay the caller's, who
// keeps it as long as the matrix.
napi_value addMatrix(napi_env env, napi_callback_info info) {
  napi_value args[5];
  arguments(env, info, args);
  const int64_t offset = integer(env, args[1]);
  const int64_t typeNumber = integer(env, args[4]);
  if (typeNumber < 0 || typeNumber >= kTypes) return throwError(env, "a type of stored matrices is expected");
  const Type type = static_cast<Type>(typeNumber);
  Matrix matrix{nullptr, integer(env, args[2]), integer(env, args[3]), type};
  const uint8_t* data = nullptr;
  int64_t size = 0;
  bool isArray = false;
  napi_is_typedarray(env, args[0], &isArray);
  if (isArray) {
    size_t length = 0;
    void* bytes = nullptr;
    napi_get_typedarray_info(env, args[0], nullptr, &length, &bytes, nullptr, nullptr);
    data = static_cast<const uint8_t*>(bytes);
    size = static_cast<int64_t>(length);
  } else if (const Mapping* mapping = mappingOf(static_cast<int32_t>(integer(env, args[0])))) {
    data = mapping->data;
    size = mapping->size;
  }
  if (!data || offset < 0 || matrix.rows < 0 || matrix.columns < 0 || matrix.columns % blockOf(type).numbers != 0 ||
      offset + matrix.rows * matrix.rowBytes() > size)
    return throwError(env, "a matrix is expected to lie within its bytes");
  matrix.data = data + offset;
  std::lock_guard<std::mutex> lock(mutex);
  matrices[nextMatrix] = matrix;
  return numberValue(env, nextMatrix++);
}

napi_value removeMatrix(napi_env env, napi_callback_info info) {
  napi_value args[1];
  arguments(env, info, args);
  std::lock_guard<std::mutex> lock(mutex);
  matrices.erase(static_cast<int32_t>(integer(env, args[0])));
  return nullptr;
}

void define(napi_env env, napi_value exports, const char* name, napi_callback callback) {
  napi_value function;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, nullptr, &function);
  napi_set_named_property(env, exports, name, function);
}

}  // namespace
}  // namespace tracer

NAPI_MODULE_INIT() {
  using namespace tracer;
  static const bool isRegistered = registerOp("TracerProduct", "x: float", computeProduct) &&
                                   registerOp("TracerGather", "indices: int32", computeGather);
  if (!isRegistered) return throwError(env, "TensorFlow refused the ops of this addon");
  define(env, exports, "mapFile", mapFile);
  define(env, exports, "unmapFile", unmapFile);
  define(env, exports, "forgetPages", forget);
  define(env, exports, "addMatrix", addMatrix);
  define(env, exports, "removeMatrix", removeMatrix);
  napi_value name;
  napi_create_string_utf8(env, kernelName(chosenKernel()), NAPI_AUTO_LENGTH, &name);
  napi_set_named_property(env, exports, "kernel", name);
  return exports;
}
