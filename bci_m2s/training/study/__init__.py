"""Studies: data × methods × protocols × seeds, every cell by the code of pretrain, finetune and evaluate."""
