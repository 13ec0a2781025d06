"""Studies: data × methods × protocols × seeds, each cell by the code of pretrain, finetune, evaluate."""
