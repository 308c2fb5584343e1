#include "runtime/mpi_flight.h"

#include <algorithm>
#include <utility>

#include "runtime/mpi_transport.h"
#include "runtime/reduce.h"
#include "runtime/spans.h"

namespace fusor {
namespace {

// What abandoned flights leave to MPI. Never destroyed.
struct Abandoned {
  CommCall call;
  std::unique_ptr<std::byte[]> staging;
};
void keep_for_ever(Abandoned operands) {
  static auto& kept = *new std::vector<Abandoned>;
  kept.push_back(std::move(operands));
}

// inout = in op inout, each element rounded. Rank order is MPI's to choose.
template <DType dtype, ReduceOp op>
void combine(void* in, void* inout, int* count, MPI_Datatype*) {
  const std::byte* const parts[] = {static_cast<const std::byte*>(in),
                                    static_cast<const std::byte*>(inout)};
  std::byte* const out[] = {static_cast<std::byte*>(inout)};
  reduce_in_order(dtype, op, parts, out, *count);
}

template <DType dtype, ReduceOp op>
MPI_Op our_op() {
  static const MPI_Op made = [] {
    MPI_Op created = MPI_OP_NULL;
    check_mpi(MPI_Op_create(combine<dtype, op>, /*commute=*/1, &created));
    return created;
  }();
  return made;
}

template <ReduceOp op>
MPI_Op op_of(DType dtype, MPI_Op theirs) {
  if (dtype == DType::bf16) return our_op<DType::bf16, op>();
  return dtype == DType::f16 ? our_op<DType::f16, op>() : theirs;
}

MPI_Op mpi_op(DType dtype, ReduceOp op) {
  switch (op) {
    case ReduceOp::max:
      return op_of<ReduceOp::max>(dtype, MPI_MAX);
    case ReduceOp::min:
      return op_of<ReduceOp::min>(dtype, MPI_MIN);
    case ReduceOp::sum:
      break;
  }
  return op_of<ReduceOp::sum>(dtype, MPI_SUM);
}

MPI_Datatype mpi_type(DType dtype) {
  switch (dtype) {
    case DType::f64:
      return MPI_DOUBLE;
    case DType::f32:
      return MPI_FLOAT;
    case DType::bf16:
    case DType::f16:
      return MPI_UINT16_T;
    case DType::i64:
      return MPI_INT64_T;
    case DType::i32:
      return MPI_INT32_T;
    case DType::u8:
      break;
  }
  return MPI_UINT8_T;
}

}  // namespace

MpiFlight::MpiFlight(std::shared_ptr<Airborne> airborne, CommCall call, std::string label)
    : airborne_(std::move(airborne)), call_(std::move(call)), label_(std::move(label)) {
  airborne_->push_back(this);
}

MpiFlight::~MpiFlight() {
  if (landed_) return;
  std::erase(*airborne_, this);
  keep_for_ever({std::move(call_), std::move(staging_)});
}

MPI_Request* MpiFlight::new_request() { return &requests_.emplace_back(MPI_REQUEST_NULL); }

std::byte* MpiFlight::new_staging(std::size_t bytes) {
  staging_ = std::make_unique_for_overwrite<std::byte[]>(bytes);
  return staging_.get();
}

bool MpiFlight::test() {
  if (failure_) std::rethrow_exception(failure_);
  for (; complete_ < requests_.size(); ++complete_) {
    int flag = 0;
    MPI_Status status;
    check_mpi(MPI_Test(&requests_[complete_], &flag, &status), label_);
    if (!flag) return false;
    check_received(status);
  }
  land();
  return true;
}

void MpiFlight::wait() {
  const Span waiting(label_);
  if (failure_) std::rethrow_exception(failure_);
  for (; complete_ < requests_.size(); ++complete_) {
    MPI_Status status;
    check_mpi(MPI_Wait(&requests_[complete_], &status), label_);
    check_received(status);
  }
  land();
}

void MpiFlight::advance() noexcept {
  if (failure_) return;
  try {
    test();
  } catch (...) {
    failure_ = std::current_exception();
  }
}

void MpiFlight::land() {
  if (landed_) return;
  if (finish_) finish_();
  std::erase(*airborne_, this);
  landed_ = true;
}

void MpiFlight::check_received(const MPI_Status& status) const {
  if (call_.kind != CommKind::recv) return;
  MPI_Count bytes = 0;
  check_mpi(MPI_Get_elements_x(&status, MPI_BYTE, &bytes), label_);
  require(bytes == static_cast<MPI_Count>(call_.out.bytes()), label_, ": rank ", call_.peer,
          " sent ", bytes, " bytes, not ", call_.out.bytes());
}

MpiBytes::MpiBytes(std::size_t bytes, int max_count) {
  const auto piece = static_cast<std::size_t>(max_count);
  if (bytes <= piece) {
    count = static_cast<int>(bytes);
    return;
  }
  // [whole x (piece bytes)] [rest bytes]
  count = 1;
  MPI_Datatype piece_type = MPI_DATATYPE_NULL;
  check_mpi(MPI_Type_contiguous(max_count, MPI_BYTE, &piece_type));
  const std::size_t whole = bytes / piece;
  int lengths[] = {static_cast<int>(whole), static_cast<int>(bytes % piece)};
  const MPI_Aint offsets[] = {0, static_cast<MPI_Aint>(whole * piece)};
  const MPI_Datatype types[] = {piece_type, MPI_BYTE};
  check_mpi(MPI_Type_create_struct(2, lengths, offsets, types, &type));
  check_mpi(MPI_Type_commit(&type));
  check_mpi(MPI_Type_free(&piece_type));
}

// MPI keeps a type until the calls that use it are complete.
MpiBytes::~MpiBytes() {
  if (type != MPI_BYTE) MPI_Type_free(&type);
}

MpiReduction mpi_reduction(DType dtype, ReduceOp op) {
  return {mpi_type(dtype), mpi_op(dtype, op)};
}

}  // namespace fusor
