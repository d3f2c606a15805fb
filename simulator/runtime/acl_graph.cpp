// Graphs of CANN's C ABI: capture, replay, updates of what was captured, and conditions.
#include <cstdio>
#include <utility>

#include "graph.h"
#include "process.h"
#include "refusals.h"

using namespace cann_simulator;

namespace {

Status find_stream(aclrtStream handle, std::shared_ptr<Stream>* stream) {
  return Process::instance().stream(handle, stream);
}

Status find_graph(aclmdlRI handle, std::shared_ptr<Graph>* graph) {
  Process& process = Process::instance();
  if (Status status = process.require_devices(); !status.ok()) return status;
  if (handle == nullptr) return null_argument("modelRI");
  *graph = process.graphs().find(handle);
  if (*graph != nullptr) return {};
  return failure(ACL_ERROR_RT_INVALID_HANDLE,
                 "%p is no graph of this process; it was destroyed, or its device reset, or it never was one",
                 handle);
}

// The stream, and the capture that it is part of.
Status find_capture(aclrtStream handle, std::shared_ptr<Stream>* stream, std::shared_ptr<Graph>* graph) {
  if (Status status = find_stream(handle, stream); !status.ok()) return status;
  *graph = (*stream)->capture();
  if (*graph != nullptr) return {};
  return failure(ACL_ERROR_RT_STREAM_NOT_CAPTURED,
                 "stream %d is not being captured; call aclmdlRICaptureBegin first", (*stream)->id());
}

Status check_mode(aclmdlRICaptureMode mode) {
  if (mode >= ACL_MODEL_RI_CAPTURE_MODE_GLOBAL && mode <= ACL_MODEL_RI_CAPTURE_MODE_RELAXED) return {};
  return failure(ACL_ERROR_INVALID_PARAM, "capture mode %d does not exist", mode);
}

// A stream on which a capture may begin.
Status find_free_stream(aclrtStream handle, aclmdlRICaptureMode mode, std::shared_ptr<Stream>* stream) {
  if (Status status = check_mode(mode); !status.ok()) return status;
  if (handle == nullptr) {
    return failure(ACL_ERROR_RT_STREAM_CAPTURE_IMPLICIT,
                   "the default stream cannot be captured; create another one");
  }
  if (Status status = find_stream(handle, stream); !status.ok()) return status;
  if ((*stream)->update() != nullptr) {
    return failure(ACL_ERROR_STREAM_TASK_GROUP_STATUS, "stream %d updates a task group", (*stream)->id());
  }
  return (*stream)->refuse_captured("be captured once more");
}

Status execute(aclmdlRI handle, aclrtStream stream_handle, std::shared_ptr<Stream>* stream) {
  std::shared_ptr<Graph> graph;
  if (Status status = find_graph(handle, &graph); !status.ok()) return status;
  if (Status status = find_stream(stream_handle, stream); !status.ok()) return status;
  if (graph->is_branch()) {
    return failure(ACL_ERROR_RT_PARAM_INVALID,
                   "graph %u is a branch, which runs with the graph that holds it", graph->id());
  }
  if (graph->device() != (*stream)->device()) {
    return failure(ACL_ERROR_RT_STREAM_CONTEXT, "graph %u is of device %d, and stream %d of device %d",
                   graph->id(), graph->device(), (*stream)->id(), (*stream)->device());
  }
  if (Status status = (*stream)->refuse_captured("run a graph"); !status.ok()) return status;
  std::unique_ptr<Task> replay;
  if (Status status = graph->prepare(**stream, &replay); !status.ok()) return status;
  return (*stream)->submit(std::move(replay));
}

Status add_condition_task(const aclmdlRICondTaskParams& params, aclrtStream handle) {
  std::shared_ptr<Stream> stream;
  std::shared_ptr<Graph> graph;
  if (Status status = find_capture(handle, &stream, &graph); !status.ok()) return status;
  if (params.modelRIArray == nullptr) return null_argument("modelRIArray");
  const std::shared_ptr<GraphCondition> condition = Process::instance().conditions().find(params.handle);
  if (condition == nullptr || condition->graph.expired()) {
    return failure(ACL_ERROR_RT_INVALID_HANDLE, "%p is no condition of a live graph", params.handle);
  }
  const bool known = params.type == ACL_MODEL_RI_COND_TYPE_IF       ? params.size == 1 || params.size == 2
                     : params.type == ACL_MODEL_RI_COND_TYPE_WHILE  ? params.size == 1
                     : params.type == ACL_MODEL_RI_COND_TYPE_SWITCH ? params.size > 0
                                                                    : false;
  if (!known) {
    return failure(ACL_ERROR_INVALID_PARAM, "a conditional task of type %d with %u branches does not exist",
                   static_cast<int>(params.type), params.size);
  }
  std::vector<std::shared_ptr<Graph>> branches;
  for (uint32_t index = 0; index < params.size; ++index) {
    branches.push_back(std::make_shared<Graph>(graph->device(), graph));
  }
  if (Status status = stream->submit(conditional_task(condition, params.type, branches)); !status.ok())
    return status;
  for (uint32_t index = 0; index < params.size; ++index) {
    params.modelRIArray[index] = Process::instance().graphs().add(branches[index]);
  }
  return {};
}

Status write_json(aclmdlRI handle, const char* path) {
  std::shared_ptr<Graph> graph;
  if (Status status = find_graph(handle, &graph); !status.ok()) return status;
  if (path == nullptr) return null_argument("path");
  const std::string text = graph->json();
  std::FILE* const file = std::fopen(path, "w");
  const bool written = file != nullptr && std::fwrite(text.data(), 1, text.size(), file) == text.size();
  const bool closed = file != nullptr && std::fclose(file) == 0;
  if (written && closed) return {};
  return failure(ACL_ERROR_INVALID_PARAM, "cannot write %s", path);
}

}  // namespace

extern "C" {

aclError aclmdlRICaptureBegin(aclrtStream handle, aclmdlRICaptureMode mode) {
  return entry(__func__, [=]() -> Status {
    std::shared_ptr<Stream> stream;
    if (Status status = find_free_stream(handle, mode, &stream); !status.ok()) return status;
    const auto graph = std::make_shared<Graph>(stream->device(), nullptr);
    if (Status status = graph->begin(*stream, mode); !status.ok()) return status;
    Process::instance().graphs().add(graph);
    return {};
  });
}

aclError aclmdlRICaptureToModelRIBegin(aclrtStream handle, aclmdlRI model, aclmdlRICaptureMode mode) {
  return entry(__func__, [=]() -> Status {
    std::shared_ptr<Graph> graph;
    if (Status status = find_graph(model, &graph); !status.ok()) return status;
    std::shared_ptr<Stream> stream;
    if (Status status = find_free_stream(handle, mode, &stream); !status.ok()) return status;
    if (!graph->is_branch()) {
      return failure(ACL_ERROR_RT_PARAM_INVALID, "graph %u is no branch of a conditional task", graph->id());
    }
    return graph->begin(*stream, mode);
  });
}

aclError aclmdlRICaptureGetInfo(aclrtStream handle, aclmdlRICaptureStatus* status, aclmdlRI* model_ri) {
  return entry(__func__, [=]() -> Status {
    if (status == nullptr) return null_argument("status");
    std::shared_ptr<Stream> stream;
    if (Status found = find_stream(handle, &stream); !found.ok()) return found;
    const std::shared_ptr<Graph> graph = stream->capture();
    *status = graph == nullptr ? ACL_MODEL_RI_CAPTURE_STATUS_NONE : graph->status();
    if (model_ri != nullptr) *model_ri = graph.get();
    return {};
  });
}

aclError aclmdlRICaptureEnd(aclrtStream handle, aclmdlRI* model_ri) {
  return entry(__func__, [=]() -> Status {
    if (model_ri == nullptr) return null_argument("modelRI");
    *model_ri = nullptr;
    std::shared_ptr<Stream> stream;
    std::shared_ptr<Graph> graph;
    if (Status status = find_capture(handle, &stream, &graph); !status.ok()) return status;
    if (Status status = graph->end(*stream); !status.ok()) {
      if (!graph->capturing()) Process::instance().graphs().remove(graph.get());
      return status;
    }
    *model_ri = graph.get();
    return {};
  });
}

aclError aclmdlRICaptureThreadExchangeMode(aclmdlRICaptureMode* mode) {
  return entry(__func__, [=]() -> Status {
    if (mode == nullptr) return null_argument("mode");
    if (Status status = check_mode(*mode); !status.ok()) return status;
    *mode = Graph::exchange_mode(*mode);
    return {};
  });
}

aclError aclmdlRIExecuteAsync(aclmdlRI model_ri, aclrtStream handle) {
  return launching(__func__, [=] {
    std::shared_ptr<Stream> stream;
    return execute(model_ri, handle, &stream);
  });
}

aclError aclmdlRIExecute(aclmdlRI model_ri, int32_t timeout) {
  return launching(__func__, [=]() -> Status {
    std::shared_ptr<Stream> stream;
    if (Status status = execute(model_ri, nullptr, &stream); !status.ok()) return status;
    if (Status status = stream->drain(timeout); !status.ok()) return status;
    return stream->take_failure();
  });
}

// A replay that is queued already goes on: it keeps the graph.
aclError aclmdlRIDestroy(aclmdlRI model_ri) {
  return entry(__func__, [=]() -> Status {
    std::shared_ptr<Graph> graph;
    if (Status status = find_graph(model_ri, &graph); !status.ok()) return status;
    if (graph->capturing()) {
      return failure(ACL_ERROR_RT_MODEL_CAPTURED, "graph %u is being captured; end that first", graph->id());
    }
    if (graph->is_branch()) {
      return failure(ACL_ERROR_RT_PARAM_INVALID,
                     "graph %u is a branch, which goes with the graph that holds it", graph->id());
    }
    Process::instance().graphs().remove(model_ri);
    return {};
  });
}

aclError aclmdlRIGetId(aclmdlRI model_ri, uint32_t* id) {
  return entry(__func__, [=]() -> Status {
    if (id == nullptr) return null_argument("modelRIId");
    std::shared_ptr<Graph> graph;
    Status status = find_graph(model_ri, &graph);
    if (status.ok()) *id = graph->id();
    return status;
  });
}

aclError aclmdlRIDebugPrint(aclmdlRI model_ri) {
  return entry(__func__, [=]() -> Status {
    std::shared_ptr<Graph> graph;
    Status status = find_graph(model_ri, &graph);
    if (status.ok()) std::fprintf(stderr, "%s", graph->json().c_str());
    return status;
  });
}

aclError aclmdlRIDebugJsonPrint(aclmdlRI model_ri, const char* path, uint32_t flags) {
  return entry(__func__, [=] {
    (void)flags;  // how much of each task to print; there is one form
    return write_json(model_ri, path);
  });
}

aclError aclmdlRICaptureTaskGrpBegin(aclrtStream handle) {
  return entry(__func__, [=]() -> Status {
    std::shared_ptr<Stream> stream;
    std::shared_ptr<Graph> graph;
    if (Status status = find_capture(handle, &stream, &graph); !status.ok()) return status;
    return graph->begin_group(*stream);
  });
}

aclError aclmdlRICaptureTaskGrpEnd(aclrtStream handle, aclrtTaskGrp* group) {
  return entry(__func__, [=]() -> Status {
    if (group == nullptr) return null_argument("handle");
    std::shared_ptr<Stream> stream;
    std::shared_ptr<Graph> graph;
    if (Status status = find_capture(handle, &stream, &graph); !status.ok()) return status;
    auto created = std::make_shared<TaskGroup>();
    created->graph = graph;
    if (Status status = graph->end_group(*stream, &created->first, &created->count); !status.ok())
      return status;
    *group = Process::instance().task_groups().add(std::move(created));
    return {};
  });
}

aclError aclmdlRICaptureTaskUpdateBegin(aclrtStream handle, aclrtTaskGrp group) {
  return entry(__func__, [=]() -> Status {
    std::shared_ptr<Stream> stream;
    if (Status status = find_stream(handle, &stream); !status.ok()) return status;
    if (Status status = stream->refuse_captured("update a task group"); !status.ok()) return status;
    if (stream->update() != nullptr) {
      return failure(ACL_ERROR_STREAM_TASK_GROUP_STATUS, "stream %d updates a task group already",
                     stream->id());
    }
    const std::shared_ptr<TaskGroup> found = Process::instance().task_groups().find(group);
    const std::shared_ptr<Graph> graph = found == nullptr ? nullptr : found->graph.lock();
    if (graph == nullptr)
      return failure(ACL_ERROR_RT_INVALID_HANDLE, "%p is no task group of a live graph", group);
    if (graph->capturing()) {
      return failure(ACL_ERROR_RT_MODEL_CAPTURED, "graph %u is being captured; end that first", graph->id());
    }
    stream->set_update(std::make_shared<GroupUpdate>(found));
    return {};
  });
}

aclError aclmdlRICaptureTaskUpdateEnd(aclrtStream handle) {
  return launching(__func__, [=]() -> Status {
    std::shared_ptr<Stream> stream;
    if (Status status = find_stream(handle, &stream); !status.ok()) return status;
    const std::shared_ptr<GroupUpdate> update = stream->update();
    if (update == nullptr) {
      return failure(ACL_ERROR_STREAM_TASK_GROUP_STATUS, "stream %d updates no task group", stream->id());
    }
    stream->set_update(nullptr);
    std::unique_ptr<Task> task;
    if (Status status = update->finish(&task); !status.ok()) return status;
    return stream->submit(std::move(task));
  });
}

aclError aclmdlRICondHandleCreate(aclmdlRI model_ri, uint32_t default_value, uint32_t flag,
                                  aclmdlRICondHandle* handle) {
  return entry(__func__, [=]() -> Status {
    if (handle == nullptr) return null_argument("handle");
    std::shared_ptr<Graph> graph;
    if (Status status = find_graph(model_ri, &graph); !status.ok()) return status;
    if (flag > ACL_MODEL_RI_COND_HANDLE_ASSIGN_DEFAULT) {
      return failure(ACL_ERROR_INVALID_PARAM, "flag is %u; it must be 0 or 1", flag);
    }
    std::shared_ptr<GraphCondition> condition;
    if (Status status = graph->add_condition(default_value, flag != 0, &condition); !status.ok())
      return status;
    *handle = Process::instance().conditions().add(std::move(condition));
    return {};
  });
}

aclError aclmdlRICondHandleGetCondPtr(aclmdlRICondHandle handle, uint64_t** ptr) {
  return entry(__func__, [=]() -> Status {
    if (ptr == nullptr) return null_argument("ptr");
    const std::shared_ptr<GraphCondition> condition = Process::instance().conditions().find(handle);
    if (condition == nullptr || condition->graph.expired()) {
      return failure(ACL_ERROR_RT_INVALID_HANDLE, "%p is no condition of a live graph", handle);
    }
    *ptr = condition->device;
    return {};
  });
}

aclError aclmdlRIAddCondTask(aclmdlRICondTaskParams params, aclrtStream stream, uint32_t flags) {
  return entry(__func__, [=]() -> Status {
    if (flags != 0) return failure(ACL_ERROR_INVALID_PARAM, "flags are %u; they must be 0", flags);
    return add_condition_task(params, stream);
  });
}

}  // extern "C"
