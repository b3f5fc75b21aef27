from __future__ import annotations

import numpy as np
import pytest

from shoploom.core.errors import DataError, UnknownName
from shoploom.encoders.attributes import ATTRIBUTES, mentions
from shoploom.encoders.joint import METHODS, Contrast, JointSpace, fit_joint, partners_found, tag
from shoploom.encoders.labels import fit_labels


def pairs(n: int = 400, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two noisy views of the same eight hidden numbers."""
    rng = np.random.default_rng(seed)
    hidden = rng.normal(size=(n, 8))
    mix = np.random.default_rng(99)
    text = hidden @ mix.normal(size=(8, 24)) + 0.5 * rng.normal(size=(n, 24))
    image = hidden @ mix.normal(size=(8, 40)) + 0.5 * rng.normal(size=(n, 40))
    return text.astype(np.float32), image.astype(np.float32)


def recall(space: JointSpace, text: np.ndarray, image: np.ndarray) -> float:
    return float(partners_found(space.text(text), space.image(image)).mean())


@pytest.fixture(scope="module")
def space() -> JointSpace:
    return fit_joint(*pairs(), dim=8, methods=("cca",))


def test_a_title_finds_its_photo_among_new_ones(space: JointSpace):
    text, image = pairs(200, seed=1)
    assert recall(space, text, image) > 0.8
    assert recall(space, text, image[::-1]) < 0.2


def test_vectors_have_length_one(space: JointSpace):
    text, image = pairs(50, seed=2)
    for vectors in (space.text(text), space.image(image)):
        assert vectors.shape == (50, 8)
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)


def test_the_same_seed_gives_the_same_space():
    text, image = pairs()
    one, two = (fit_joint(text, image, dim=8, methods=("cca",)) for _ in range(2))
    np.testing.assert_array_equal(one.text(text), two.text(text))


def test_saving_loses_nothing(space: JointSpace, tmp_path):
    text, image = pairs(30, seed=3)
    space.save(tmp_path / "joint")
    loaded = JointSpace.load(tmp_path / "joint")
    np.testing.assert_array_equal(loaded.text(text), space.text(text))
    np.testing.assert_array_equal(loaded.image(image), space.image(image))
    assert (loaded.method, loaded.temperature) == (space.method, space.temperature)
    assert loaded.recall_at_10 == space.recall_at_10


def test_a_damaged_space_is_refused(space: JointSpace, tmp_path):
    with pytest.raises(DataError, match="expected a joint space in"):
        JointSpace.load(tmp_path)
    space.save(tmp_path / "joint")
    whole = (tmp_path / "joint/joint.safetensors").read_bytes()
    (tmp_path / "joint/joint.safetensors").write_bytes(whole[:100])
    with pytest.raises(DataError, match="could not read it"):
        JointSpace.load(tmp_path / "joint")


def test_contrast_is_tried_and_a_tie_goes_to_the_simplest():
    pytest.importorskip("torch")
    text, image = pairs(300)
    settings = Contrast(batch=64, epochs=5)
    space = fit_joint(text, image, dim=8, methods=METHODS, contrast=settings)
    assert set(space.recall_at_10) == {"cca", "linear", "hidden"}
    assert space.method == "cca"


def test_a_hidden_layer_is_kept_where_no_linear_map_will_do():
    """The photo shows how far each hidden number is from zero, but not on which side."""
    pytest.importorskip("torch")
    hidden = np.random.default_rng(0).normal(size=(1500, 4)).astype(np.float32)
    settings = Contrast(hidden=64, batch=256, epochs=15, drop=0.0, learning_rate=1e-2)
    space = fit_joint(hidden, np.abs(hidden) - 1, dim=4, methods=METHODS, contrast=settings)
    assert space.method == "hidden"
    assert space.recall_at_10["hidden"] > 1.5 * space.recall_at_10["cca"]
    loaded = JointSpace.from_state(*space.state())
    np.testing.assert_array_equal(loaded.text(hidden), space.text(hidden))


def test_other_work_keeps_its_threads():
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(before + 1)
    try:
        fit_joint(*pairs(100), dim=4, contrast=Contrast(epochs=1))
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)


def test_pairs_of_one_product_are_never_split():
    """Copies that only a group tells apart would otherwise be found by heart."""
    rng = np.random.default_rng(0)
    text = np.repeat(rng.normal(size=(60, 30)), 5, axis=0).astype(np.float32)
    image = np.repeat(rng.normal(size=(60, 30)), 5, axis=0).astype(np.float32)
    text += 0.01 * rng.normal(size=text.shape)
    groups = np.repeat(np.arange(60), 5)
    heart = fit_joint(text, image, dim=16, methods=("cca",)).recall_at_10["cca"]
    honest = fit_joint(text, image, dim=16, methods=("cca",), groups=groups).recall_at_10["cca"]
    assert heart > 0.9
    assert honest < heart - 0.25


def test_rectified_features_are_rooted():
    text, image = pairs()
    assert fit_joint(text, np.maximum(image, 0), dim=8, methods=("cca",)).image.rooted
    assert not fit_joint(text, image, dim=8, methods=("cca",)).image.rooted


def test_a_collapsed_space_finds_nothing():
    same = np.ones((50, 4), dtype=np.float32)
    assert not partners_found(same, same, 10).any()


def test_what_cannot_be_learned_is_refused(space: JointSpace):
    text, image = pairs()
    with pytest.raises(DataError, match="of the same n things"):
        fit_joint(text, image[:-1])
    with pytest.raises(DataError, match="at least 50 pairs"):
        fit_joint(text[:20], image[:20])
    with pytest.raises(DataError, match="got only 1 groups"):
        fit_joint(text, image, groups=["one"] * len(text))
    with pytest.raises(DataError, match="expected finite image vectors"):
        fit_joint(text, np.full_like(image, np.nan))
    with pytest.raises(UnknownName, match="Did you mean 'linear'"):
        fit_joint(text, image, methods=("linaer",))
    with pytest.raises(DataError, match=r"expected vectors of shape \(n, 24\)"):
        space.text(image)


def test_a_label_near_everything_wins_nothing():
    rng = np.random.default_rng(0)
    labels = np.eye(4)[:3]
    rows = np.eye(4)[rng.integers(1, 3, 60)] + [2.0, 0, 0, 0]  # all lie near label 0
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    chance = tag(rows, labels)
    assert (chance.argmax(axis=1) == (rows[:, 1:3].argmax(axis=1) + 1)).all()
    np.testing.assert_allclose(chance.sum(axis=1), 1, rtol=1e-5)


def test_one_row_can_be_tagged_against_a_catalogue():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(100, 8))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    labels = rows[:5]
    together = tag(rows, labels)
    np.testing.assert_allclose(tag(rows[7:8], labels, reference=rows), together[7:8], rtol=1e-4)


# --- labels -----------------------------------------------------------------------------------


def labelled(n: int = 300, noise: float = 0.7, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    names = np.array(["bag", "hat", "tea"], dtype=object)
    code = rng.integers(0, 3, n)
    centres = np.random.default_rng(7).normal(size=(3, 10))
    return centres[code] + noise * rng.normal(size=(n, 10)), names[code]


def test_leaving_a_row_out_equals_learning_without_it():
    vectors, labels = labelled(60)
    learned = fit_labels(vectors, labels.tolist())
    row = 17
    rest = np.arange(60) != row
    x, mean = vectors[rest], vectors[rest].mean(axis=0)
    y = (labels[rest, None] == np.array(learned.head.names)).astype(float)
    # The ridge that was chosen is one of few: one of them must give the very same answer.
    full = vectors - vectors.mean(axis=0)
    spread = np.linalg.eigvalsh(full.T @ full).mean()
    answers = []
    for strength in (0.001, 0.01, 0.1, 1.0):
        gram = (x - mean).T @ (x - mean) + strength * spread * np.eye(10)
        weight = np.linalg.solve(gram, (x - mean).T @ (y - y.mean(axis=0)))
        scores = learned.head.sharpness * ((vectors[row] - mean) @ weight + y.mean(axis=0))
        answers.append(np.exp(scores) / np.exp(scores).sum())
    nearest = min(np.abs(answer - learned.left_out[row]).max() for answer in answers)
    assert nearest < 2e-3


def test_probabilities_mean_what_they_say():
    vectors, labels = labelled(3000, noise=1.5)
    learned = fit_labels(vectors, labels.tolist())
    likeliest = learned.left_out.max(axis=1)
    right = learned.left_out.argmax(axis=1) == learned.codes
    for low in (0.5, 0.7, 0.9):
        bin_ = (likeliest >= low) & (likeliest < low + 0.1)
        assert abs(likeliest[bin_].mean() - right[bin_].mean()) < 0.08


def test_new_rows_are_labelled():
    learned = fit_labels(*(part.tolist() if i else part for i, part in enumerate(labelled())))
    vectors, labels = labelled(200, seed=1)
    got = np.array(learned.head.names)[learned.head(vectors).argmax(axis=1)]
    assert (got == labels).mean() > 0.95


def test_wrong_labels_are_doubted_and_right_ones_are_not():
    vectors, labels = labelled(600, noise=0.4)
    wrong = np.arange(0, 600, 40)
    given = labels.copy()
    given[wrong] = np.where(labels[wrong] == "bag", "hat", "bag")
    learned = fit_labels(vectors, given.tolist())
    doubted = learned.doubtful()
    found = np.flatnonzero(doubted >= 0)
    assert set(found) <= set(wrong)
    assert len(found) >= 0.8 * len(wrong)
    assert (np.array(learned.head.names)[doubted[found]] == labels[found]).all()


def test_one_label_is_nothing_to_learn():
    with pytest.raises(DataError, match="at least two different ones"):
        fit_labels(np.ones((5, 2)), ["a"] * 5)


# --- attributes -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Women's silk shirt, navy-blue, X-Large", "blue silk XL women"),
        ("Levi's Men's 501 T-Shirt S&M 2XL", "2XL men"),
        ("Black/White striped tee - M", "black white striped M"),
        ("女童纯棉连衣裙 红色 碎花", "red cotton floral girls"),
        ("男女情侣款 均码 羊绒围巾", "cashmere one size unisex"),
        ("Down the rabbit hole: a book", ""),
        (None, ""),
    ],
)
def test_titles_name_attributes_in_both_languages(text: str | None, expected: str):
    assert " ".join(each.value for each in mentions([text])) == expected


def test_a_brand_is_no_material():
    assert not mentions(["木棉 手提包"], ignore=["木棉"])
    assert mentions(["木棉 手提包"])[0].value == "cotton"


def test_attributes_come_in_order():
    found = mentions(["纯棉 白色", "red wool"])
    assert [each.row for each in found] == [0, 0, 1, 1]
    assert {each.attribute for each in found} <= set(ATTRIBUTES)
    assert found[0].value_zh == "白色"
