"""How right the pseudo-labels are, where the truth is known: in a SynthPed universe."""

from mmengine.dist import master_only
from mmengine.hooks import Hook

from clasp_bench.errors import ConfigError, DataError
from clasp_bench.registry import HOOKS
from clasp_bench.teacher import load_vocabulary

MOST_PHOTOS = 50_000  # all masks are read


@HOOKS.register_module()
class LabelTruthHook(Hook):
    """Logs the part mIoU and the mean balanced accuracy of the labels' attributes at the first step, for the curves of agreement to be read by.

    Says nothing where the truth is not known, the labels' vocabulary is not at hand, or there are very many photos.
    """

    @master_only
    def before_train(self, runner) -> None:
        photos = runner.train_dataloader.dataset
        if runner.iter or photos.labels is None or len(photos) > MOST_PHOTOS:
            return
        from clasp_bench.teacher.evaluate import evaluate_store

        try:
            vocabulary = load_vocabulary(photos.labels.meta["vocabulary"])
            if vocabulary.digest != photos.labels.meta["vocabulary_digest"]:
                return  # another of the same name
            found = evaluate_store(photos.labels, photos.source.path, vocabulary)
        except (ConfigError, DataError):
            return
        scores = {"labels/part_miou": found.part_miou, "labels/balanced_accuracy": found.mean_balanced_accuracy}
        runner.visualizer.add_scalars(scores, step=0)
