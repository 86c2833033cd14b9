"""Answers to option names of other libraries: which option of tfft does the same.

The names are those of the Trainer of transformers, TRL, Keras and LLaMA-Factory that
have no alias here, and options of a method or a task given in the wrong place.
"""

from __future__ import annotations


def foreign_name_fix(name: str) -> str:
    """Returns the fix for another library's option name, or an empty text.

    >>> foreign_name_fix("eval_strategy")
    'leave it out: each epoch ends with a validation'
    >>> foreign_name_fix("rnak")
    ''
    """
    return FOREIGN_NAMES.get(name.lstrip("-").replace("-", "_"), "")


def _use(option: str, names: str) -> dict[str, str]:
    return {name: f"use {option}" for name in names.split()}


def _leave_out(reason: str, names: str) -> dict[str, str]:
    return {name: f"leave it out: {reason}" for name in names.split()}


def _of_method(option: str, method: str, names: str) -> dict[str, str]:
    text = (
        f'use {option}, an option of the method: method={{"name": "{method}", '
        f'"{option}": …}}, or --method.{option}'
    )
    return dict.fromkeys(names.split(), text)


def _of_task(option: str, task: str, names: str) -> dict[str, str]:
    text = (
        f'use {option}, an option of the task: task={{"name": "{task}", '
        f'"{option}": …}}, or --task.{option}'
    )
    return dict.fromkeys(names.split(), text)


_ACCUMULATION = (
    "raise batch_size: it counts all rows of a step; accumulation splits them into "
    "pieces that need less memory"
)
FOREIGN_NAMES: dict[str, str] = {
    # Model, data and method.
    **_use(
        "model", "model_name_or_path model_name model_id pretrained_model base_model"
    ),
    **_use(
        "data",
        "dataset dataset_name dataset_dir train_dataset train_data train_file "
        "train_dataset_name data_path data_files",
    ),
    **_use(
        "validation",
        "eval_dataset validation_data validation_file validation_split val_size "
        "val_data eval_data test_size",
    ),
    **_use("tokenizer", "processing_class tokenizer_name tokenizer_name_or_path"),
    **_use("method", "finetuning_type peft_config use_peft peft_method peft"),
    **_use("task='causal_lm'", "stage"),
    # Steps and epochs.
    "gradient_accumulation_steps": _ACCUMULATION,
    "accumulate_grad_batches": _ACCUMULATION,
    **_use("epochs, a number of passes over the rows", "max_steps num_epochs n_epochs"),
    **_use("batch_size", "train_batch_size micro_batch_size per_device_batch_size"),
    **_leave_out(
        "every epoch passes over all rows",
        "steps_per_epoch validation_steps max_samples",
    ),
    **_leave_out(
        "the size of validation batches changes no result",
        "per_device_eval_batch_size eval_batch_size validation_batch_size "
        "eval_accumulation_steps",
    ),
    **_leave_out("seed decides the order of the rows", "shuffle data_seed"),
    **_leave_out(
        "batches are always of rows of similar length",
        "group_by_length length_column_name train_sampling_strategy",
    ),
    **_leave_out(
        "the rows are encoded before the training starts",
        "dataloader_num_workers dataset_num_proc preprocessing_num_workers "
        "dataloader_pin_memory workers use_multiprocessing",
    ),
    # The optimizer.
    **_use("learning_rate", "lr"),
    **_use("optimizer", "optim optimizers"),
    **_use(
        'the option with the name of the Keras class: optimizer={"name": "adamw", '
        '"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}',
        "adam_beta1 adam_beta2 adam_epsilon optim_args",
    ),
    **_use("schedule", "lr_scheduler scheduler learning_rate_schedule"),
    **_use("schedule_power", "lr_scheduler_kwargs"),
    **_use("clip_norm", "clipnorm global_clipnorm gradient_clipping"),
    **_use("ema", "use_ema ema_momentum"),
    **_use('precision="mixed_bfloat16"', "bf16 pure_bf16"),
    **_use('precision="mixed_float16"', "fp16"),
    **_use("precision", "torch_dtype dtype compute_dtype mixed_precision"),
    **_use("compile_step", "jit_compile torch_compile"),
    # Validation and checkpoints.
    **_leave_out(
        "each epoch ends with a validation",
        "eval_strategy evaluation_strategy do_eval eval_steps do_train "
        "validation_freq eval_on_start eval_delay",
    ),
    **_leave_out(
        "the weights with the best validation are always kept",
        "load_best_model_at_end restore_best_weights save_best_only",
    ),
    **_leave_out(
        "the task decides which metric is the best; tune has objective",
        "metric_for_best_model monitor",
    ),
    **_leave_out(
        "each metric has its direction; tune has direction", "greater_is_better"
    ),
    **_leave_out("the report of the task has all metrics", "metrics compute_metrics"),
    **_leave_out("the task has its loss", "loss compute_loss_func"),
    **_use(
        "early_stopping, the epochs to wait",
        "early_stopping_patience patience early_stopping_steps",
    ),
    # Checkpoints and logs.
    **_use("save_every, in steps", "save_steps save_freq"),
    **_leave_out(
        "a checkpoint is saved at the end of each epoch; save_every adds more",
        "save_strategy",
    ),
    **_use("keep_last", "save_total_limit"),
    **_use("log_every, in steps", "logging_steps update_freq"),
    **_leave_out(
        "TensorBoard's logs are always in output_dir",
        "report_to logging_dir log_dir logging_strategy plot_loss run_name",
    ),
    **_leave_out(
        "run.export_huggingface writes a folder to upload",
        "push_to_hub hub_model_id hub_token",
    ),
    # Options of a method.
    **_of_method("rank", "lora", "rank r lora_r lora_rank"),
    **_of_method("alpha", "lora", "alpha lora_alpha"),
    **_of_method("dropout", "lora", "lora_dropout"),
    **_of_method("target", "lora", "target target_modules lora_target"),
    **_of_method("use_dora", "lora", "use_dora"),
    **_of_method("use_rslora", "lora", "use_rslora"),
    **_of_method("learning_rate_ratio", "lora", "loraplus_lr_ratio"),
    **_of_method("count", "last_layers", "freeze_trainable_layers num_layer_trainable"),
    # Options of a task.
    **_of_task("text", "text_classification", "text text_column dataset_text_field"),
    **_of_task("label", "text_classification", "label label_column"),
    **_of_task(
        "max_length",
        "text_classification",
        "max_length max_seq_length max_seq_len cutoff_len model_max_length "
        "sequence_length",
    ),
    **_of_task("class_weights", "text_classification", "class_weight class_weights"),
    **_of_task(
        "label_smoothing",
        "text_classification",
        "label_smoothing label_smoothing_factor",
    ),
    **_of_task("padding_free", "causal_lm", "packing padding_free"),
    **_of_task("template", "causal_lm", "template prompt_template"),
    **_of_task(
        "train_on_prompt",
        "causal_lm",
        "completion_only_loss assistant_only_loss train_on_prompt",
    ),
    **_of_task("neftune_alpha", "causal_lm", "neftune_noise_alpha neftune_alpha"),
    **_of_task("gradient_checkpointing", "causal_lm", "gradient_checkpointing"),
}
