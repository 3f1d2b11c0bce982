import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rag_assets.models.errors import ConversionError
from rag_assets.models.weights.formats import (
    FORMATS,
    INT4_GROUP,
    INT4_GROUPS,
    from_bfloat16,
    pack_int4,
    quantise_groups,
    quantise_rows,
    to_bfloat16,
)

NO_VLLM = "vLLM's own reader of the format is not installed"
RNG = np.random.default_rng(5)
FLOATS = st.floats(-(2**20), 2**20, width=32).filter(lambda x: x == 0 or abs(x) > 1e-30)
SIZE = 8  # of the groups in these tests


def rows_of(n_columns: st.SearchStrategy[int]) -> st.SearchStrategy[np.ndarray]:
    shapes = st.tuples(st.integers(1, 6), n_columns)
    return shapes.flatmap(lambda shape: hnp.arrays(np.float32, shape, elements=FLOATS))


def unpack(packed: np.ndarray) -> np.ndarray:
    """By the format's definition, one value after another."""
    words = packed.view(np.uint32)
    nibbles = np.stack([words >> 4 * place & 15 for place in range(8)], axis=-1)
    return nibbles.reshape(len(packed), -1).astype(np.int8) - 8


@given(rows_of(st.integers(1, 20)))
def test_int8_is_off_by_at_most_half_a_step(rows: np.ndarray) -> None:
    quantised, scale = quantise_rows(rows)
    assert quantised.dtype == np.int8
    assert scale.shape == (rows.shape[0], 1)
    assert int(np.abs(quantised.astype(int)).max()) <= 127
    off = np.abs(quantised * scale.astype(np.float64) - rows)
    assert (off <= scale * (0.5 + 1e-4)).all()  # the rest is float32 division


def test_largest_value_of_a_row_is_kept_and_a_zero_row_stays_zero() -> None:
    quantised, scale = quantise_rows(np.array([[1.0, -2.0], [0, 0]], dtype=np.float32))
    assert quantised.tolist() == [[64, -127], [0, 0]]
    assert scale[:, 0].tolist() == [np.float32(2) / np.float32(127), 1]


@given(rows_of(st.sampled_from([SIZE, 3 * SIZE])))
def test_int4_is_off_by_little_more_than_half_a_step_of_its_group(rows: np.ndarray) -> None:
    quantised, bits = quantise_groups(rows, size=SIZE)
    assert quantised.shape == rows.shape
    assert bits.shape == (rows.shape[0], rows.shape[1] // SIZE)
    assert quantised.min() >= -8
    assert quantised.max() <= 7
    scale = np.repeat(from_bfloat16(bits), SIZE, axis=1).astype(np.float64)
    assert (np.abs(quantised * scale - rows) <= scale * 0.53).all()
    assert not quantised[rows == 0].any()


def test_groups_have_scales_of_their_own() -> None:
    rows = np.array([[7.5, -7.5, 3, 0, 0, 0, 0, 0, -15, 4, 0, 1, 0, 0, 0, 0]], dtype=np.float32)
    quantised, bits = quantise_groups(rows, size=SIZE)
    assert from_bfloat16(bits).tolist() == [[1, 2]]
    # -7.5 and 7.5 lie between two steps: to even, and cut at 7
    assert quantised.tolist() == [[7, -8, 3, 0, 0, 0, 0, 0, -8, 2, 0, 0, 0, 0, 0, 0]]
    assert from_bfloat16(quantise_groups(np.zeros((1, SIZE), np.float32), size=SIZE)[1]) == 1


@given(
    hnp.arrays(
        np.int8,
        st.tuples(st.integers(1, 5), st.sampled_from([8, 24])),
        elements=st.integers(-8, 7),
    )
)
def test_packed_int4_unpacks_to_what_was_rounded(values: np.ndarray) -> None:
    packed = pack_int4(values)
    assert packed.dtype == np.int32
    assert packed.shape == (values.shape[0], values.shape[1] // 8)
    np.testing.assert_array_equal(unpack(packed), values)


def test_first_value_lies_in_the_lowest_bits() -> None:
    values = np.array([[-7, -6, -5, -4, -3, -2, -1, 0]], dtype=np.int8)
    assert pack_int4(values).tolist() == [[-0x789ABCDF]]  # 0x87654321, signed


def test_int4_is_what_compressed_tensors_makes_of_it() -> None:
    """Whoever reads the checkpoint reads it with that library, or by its rules."""
    torch = pytest.importorskip("torch", reason=NO_VLLM)
    helpers = pytest.importorskip(
        "compressed_tensors.compressors.pack_quantized.helpers", reason=NO_VLLM
    )
    quantization = pytest.importorskip("compressed_tensors.quantization", reason=NO_VLLM)
    from compressed_tensors.quantization.lifecycle.forward import quantize
    from compressed_tensors.quantization.utils import calculate_qparams

    rows = RNG.standard_normal((16, 4 * INT4_GROUP)).astype(np.float32)
    quantised, bits = quantise_groups(rows)
    tensor = torch.from_numpy(rows)
    groups = tensor.reshape(16, 4, INT4_GROUP)
    group = FORMATS["w4a16"].quantisation["config_groups"]["group_0"]  # type: ignore[index]
    arguments = quantization.QuantizationArgs(**group["weights"])
    scale, zero = calculate_qparams(groups.amin(2), groups.amax(2), arguments)
    ours = torch.from_numpy(from_bfloat16(bits))
    torch.testing.assert_close(ours, scale.to(torch.bfloat16).float(), rtol=0, atol=0)
    theirs = quantize(tensor, ours, zero, arguments, dtype=torch.int8)
    np.testing.assert_array_equal(quantised, theirs.numpy())
    np.testing.assert_array_equal(pack_int4(quantised), helpers.pack_to_int32(theirs, 4).numpy())


def test_bfloat16_is_torchs_rounding() -> None:
    torch = pytest.importorskip("torch", reason=NO_VLLM)
    values = (RNG.standard_normal(10_000) * 10.0 ** RNG.integers(-20, 20, 10_000)).astype("f4")
    values[:2] = [1 + 2**-8, 1 + 3 * 2**-8]  # ties: one down, one up to even
    expected = torch.from_numpy(values).to(torch.bfloat16)
    bits = to_bfloat16(values)
    np.testing.assert_array_equal(bits.view(np.int16), expected.view(torch.int16).numpy())
    np.testing.assert_array_equal(from_bfloat16(bits), expected.float().numpy())


def test_int4_refuses_rows_that_are_no_whole_groups() -> None:
    with pytest.raises(ConversionError, match="a multiple of 128 weights, got 96"):
        INT4_GROUPS.tensors((4, 96))


@pytest.mark.parametrize("precision", ["w8a8", "w4a16"])
def test_compressed_tensors_accepts_the_config(precision: str) -> None:
    quantization = pytest.importorskip("compressed_tensors.quantization", reason=NO_VLLM)
    config = quantization.QuantizationConfig.model_validate(FORMATS[precision].quantisation)  # type: ignore[index]
    assert {target for group in config.config_groups.values() for target in group.targets} == {
        "Linear",
        "re:.*lm_head",
    }
