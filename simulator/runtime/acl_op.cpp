// What the older path describes its operators with. libacl_op_compiler serves a few operators by name and
// refuses the others with a message of its operands; of the attributes they need texts and single numbers.
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "status.h"

using namespace cann_simulator;

struct aclTensorDesc {
  aclDataType dtype;
  aclFormat format;
  std::vector<int64_t> sizes;
  aclFormat stored_format;
  std::vector<int64_t> stored_sizes;
};

struct aclDataBuffer {
  void* data;
  size_t size;
};

struct aclopAttr {
  std::map<std::string, std::string> texts;
  std::map<std::string, double> numbers;
};

namespace {

template <class Handle, class Make>
Handle* created(const char* function, Make make) {
  std::unique_ptr<Handle> handle;
  entry(function, [&] { return make(&handle); });
  return handle.release();
}

Status check_sizes(int count, const int64_t* sizes) {
  if (count < 0) return failure(ACL_ERROR_INVALID_PARAM, "numDims is %d", count);
  if (count > 0 && sizes == nullptr) return null_argument("dims");
  return {};
}

aclError set_attribute(const char* function, const aclopAttr* attribute, const char* name) {
  return entry(function, [=]() -> Status {
    if (attribute == nullptr) return null_argument("attr");
    if (name == nullptr) return null_argument("attrName");
    return {};
  });
}

aclError set_number(const char* function, aclopAttr* attribute, const char* name, double value) {
  const aclError code = set_attribute(function, attribute, name);
  if (code == ACL_SUCCESS) attribute->numbers[name] = value;
  return code;
}

aclError change(const char* function, const aclTensorDesc* desc) {
  return entry(function, [=]() -> Status { return desc == nullptr ? null_argument("desc") : Status{}; });
}

}  // namespace

extern "C" {

aclTensorDesc* aclCreateTensorDesc(aclDataType data_type, int num_dims, const int64_t* dims,
                                   aclFormat format) {
  return created<aclTensorDesc>(__func__, [=](std::unique_ptr<aclTensorDesc>* desc) {
    Status status = check_sizes(num_dims, dims);
    if (!status.ok()) return status;
    const std::vector<int64_t> sizes(dims, dims + num_dims);
    desc->reset(new aclTensorDesc{data_type, format, sizes, format, sizes});
    return status;
  });
}

void aclDestroyTensorDesc(const aclTensorDesc* desc) { delete desc; }

aclDataType aclGetTensorDescType(const aclTensorDesc* desc) {
  return change(__func__, desc) == ACL_SUCCESS ? desc->dtype : ACL_DT_UNDEFINED;
}

aclFormat aclGetTensorDescFormat(const aclTensorDesc* desc) {
  return change(__func__, desc) == ACL_SUCCESS ? desc->format : ACL_FORMAT_UNDEFINED;
}

size_t aclGetTensorDescNumDims(const aclTensorDesc* desc) {
  return change(__func__, desc) == ACL_SUCCESS ? desc->sizes.size() : 0;
}

aclError aclGetTensorDescDimV2(const aclTensorDesc* desc, size_t index, int64_t* dim_size) {
  return entry(__func__, [=]() -> Status {
    if (desc == nullptr || dim_size == nullptr) return null_argument("desc or dimSize");
    if (index >= desc->sizes.size()) {
      return failure(ACL_ERROR_INVALID_PARAM, "index is %zu, the tensor has %zu dimensions", index,
                     desc->sizes.size());
    }
    *dim_size = desc->sizes[index];
    return {};
  });
}

void aclSetTensorDescName(aclTensorDesc* desc, const char* name) {
  (void)name;
  (void)change(__func__, desc);
}

aclError aclSetTensorFormat(aclTensorDesc* desc, aclFormat format) {
  const aclError code = change(__func__, desc);
  if (code == ACL_SUCCESS) desc->stored_format = format;
  return code;
}

aclError aclSetTensorShape(aclTensorDesc* desc, int num_dims, const int64_t* dims) {
  return entry(__func__, [=]() -> Status {
    if (desc == nullptr) return null_argument("desc");
    const Status status = check_sizes(num_dims, dims);
    if (status.ok()) desc->stored_sizes.assign(dims, dims + num_dims);
    return status;
  });
}

aclFormat cann_simulator_stored_format(const aclTensorDesc* desc) {
  return desc == nullptr ? ACL_FORMAT_UNDEFINED : desc->stored_format;
}

const int64_t* cann_simulator_stored_sizes(const aclTensorDesc* desc, size_t* count) {
  *count = desc == nullptr ? 0 : desc->stored_sizes.size();
  return desc == nullptr ? nullptr : desc->stored_sizes.data();
}

aclError aclSetTensorPlaceMent(aclTensorDesc* desc, aclMemType mem_type) {
  (void)mem_type;
  return change(__func__, desc);
}

aclDataBuffer* aclCreateDataBuffer(void* data, size_t size) {
  return created<aclDataBuffer>(__func__, [=](std::unique_ptr<aclDataBuffer>* buffer) -> Status {
    buffer->reset(new aclDataBuffer{data, size});
    return {};
  });
}

aclError aclDestroyDataBuffer(const aclDataBuffer* data_buffer) {
  return entry(__func__, [=]() -> Status {
    if (data_buffer == nullptr) return null_argument("dataBuffer");
    delete data_buffer;
    return {};
  });
}

void* aclGetDataBufferAddr(const aclDataBuffer* data_buffer) {
  return data_buffer == nullptr ? nullptr : data_buffer->data;
}

aclopAttr* aclopCreateAttr(void) {
  return created<aclopAttr>(__func__, [](std::unique_ptr<aclopAttr>* attribute) -> Status {
    attribute->reset(new aclopAttr);
    return {};
  });
}

void aclopDestroyAttr(const aclopAttr* attr) { delete attr; }

aclError aclopSetAttrBool(aclopAttr* attr, const char* attr_name, uint8_t) {
  return set_attribute(__func__, attr, attr_name);
}
aclError aclopSetAttrInt(aclopAttr* attr, const char* attr_name, int64_t value) {
  return set_number(__func__, attr, attr_name, static_cast<double>(value));
}
aclError aclopSetAttrFloat(aclopAttr* attr, const char* attr_name, float value) {
  return set_number(__func__, attr, attr_name, value);
}
aclError aclopSetAttrString(aclopAttr* attr, const char* attr_name, const char* value) {
  const aclError code = set_attribute(__func__, attr, attr_name);
  if (code != ACL_SUCCESS) return code;
  return entry(__func__, [=]() -> Status {
    if (value == nullptr) return null_argument("attrValue");
    attr->texts[attr_name] = value;
    return {};
  });
}
const char* cann_simulator_attribute(const aclopAttr* attr, const char* name) {
  if (attr == nullptr) return nullptr;
  const auto found = attr->texts.find(name);
  return found == attr->texts.end() ? nullptr : found->second.c_str();
}
const double* cann_simulator_number(const aclopAttr* attr, const char* name) {
  if (attr == nullptr) return nullptr;
  const auto found = attr->numbers.find(name);
  return found == attr->numbers.end() ? nullptr : &found->second;
}
aclError aclopSetAttrDataType(aclopAttr* attr, const char* attr_name, aclDataType) {
  return set_attribute(__func__, attr, attr_name);
}
aclError aclopSetAttrListBool(aclopAttr* attr, const char* attr_name, int, const uint8_t*) {
  return set_attribute(__func__, attr, attr_name);
}
aclError aclopSetAttrListInt(aclopAttr* attr, const char* attr_name, int, const int64_t*) {
  return set_attribute(__func__, attr, attr_name);
}
aclError aclopSetAttrListFloat(aclopAttr* attr, const char* attr_name, int, const float*) {
  return set_attribute(__func__, attr, attr_name);
}
aclError aclopSetAttrListListInt(aclopAttr* attr, const char* attr_name, int, const int*,
                                 const int64_t* const[]) {
  return set_attribute(__func__, attr, attr_name);
}

}  // extern "C"
