package samples

// Reference ranges are those of adults, after the WHO's and common laboratory practice.

const (
	rowPulse = iota
	rowBreath
	rowTemperature
	rowOxygen
	rowHeight
	rowWeight
	rowBMI
	rowHead
)

func vitalSigns() []test {
	return []test{
		rowPulse:       {code: loinc("8867-4", "Heart rate"), also: snomed("364075005", "Heart rate"), ciel: "5087", short: "Pulse", low: 60, high: 100, min: 40, max: 190, unit: "beats/min", ucum: "/min"},
		rowBreath:      {code: loinc("9279-1", "Respiratory rate"), also: snomed("86290005", "Respiratory rate"), ciel: "5242", short: "Respiratory rate", low: 12, high: 20, min: 10, max: 70, unit: "breaths/min", ucum: "/min"},
		rowTemperature: {code: loinc("8310-5", "Body temperature"), also: snomed("386725007", "Body temperature"), ciel: "5088", short: "Temperature", places: 1, low: 361, high: 374, min: 350, max: 412, unit: "°C", ucum: "Cel"},
		rowOxygen:      {code: loinc("2708-6", "Oxygen saturation in Arterial blood"), also: loinc("59408-5", "Oxygen saturation in Arterial blood by Pulse oximetry"), ciel: "5092", short: "Oxygen saturation", low: 94, high: 100, min: 80, max: 100, unit: "%", ucum: "%"},
		rowHeight:      {code: loinc("8302-2", "Body height"), also: snomed("50373000", "Body height measure"), ciel: "5090", short: "Height", places: 1, min: 450, max: 2100, unit: "cm", ucum: "cm"},
		rowWeight:      {code: loinc("29463-7", "Body weight"), also: snomed("27113001", "Body weight"), ciel: "5089", short: "Weight", places: 1, min: 25, max: 1800, unit: "kg", ucum: "kg"},
		rowBMI:         {code: loinc("39156-5", "Body mass index (BMI) [Ratio]"), also: snomed("60621009", "Body mass index"), ciel: "1342", short: "Body mass index", places: 1, low: 185, high: 249, min: 100, max: 500, unit: "kg/m2", ucum: "kg/m2"},
		rowHead:        {code: loinc("9843-4", "Head Occipital-frontal circumference"), short: "Head circumference", places: 1, min: 320, max: 530, unit: "cm", ucum: "cm"},
	}
}

func panels() []panel {
	present := snomed("260373001", "Detected")
	positive := snomed("10828004", "Positive")
	return []panel{
		{loinc("58410-2", "CBC panel - Blood by Automated count"), "Full blood count", []test{
			{code: loinc("718-7", "Hemoglobin [Mass/volume] in Blood"), ciel: "21", short: "Haemoglobin", places: 1, low: 120, high: 170, min: 45, max: 195, unit: "g/dL", ucum: "g/dL"},
			{code: loinc("4544-3", "Hematocrit [Volume Fraction] of Blood by Automated count"), short: "Haematocrit", places: 1, low: 360, high: 500, min: 150, max: 580, unit: "%", ucum: "%"},
			{code: loinc("6690-2", "Leukocytes [#/volume] in Blood by Automated count"), short: "White cells", places: 1, low: 40, high: 110, min: 12, max: 280, unit: "10*3/uL", ucum: "10*3/uL"},
			{code: loinc("789-8", "Erythrocytes [#/volume] in Blood by Automated count"), short: "Red cells", places: 2, low: 400, high: 570, min: 200, max: 680, unit: "10*6/uL", ucum: "10*6/uL"},
			{code: loinc("777-3", "Platelets [#/volume] in Blood by Automated count"), short: "Platelets", low: 150, high: 400, min: 18, max: 720, unit: "10*3/uL", ucum: "10*3/uL"},
			{code: loinc("787-2", "MCV [Entitic volume] by Automated count"), short: "Mean cell volume", places: 1, low: 800, high: 980, min: 600, max: 1180, unit: "fL", ucum: "fL"},
		}},
		{loinc("24321-2", "Basic metabolic 2000 panel - Serum or Plasma"), "Metabolic panel", []test{
			{code: loinc("2345-7", "Glucose [Mass/volume] in Serum or Plasma"), ciel: "887", short: "Glucose", low: 70, high: 110, min: 38, max: 460, unit: "mg/dL", ucum: "mg/dL"},
			{code: loinc("2160-0", "Creatinine [Mass/volume] in Serum or Plasma"), ciel: "790", short: "Creatinine", places: 2, low: 60, high: 120, min: 30, max: 650, unit: "mg/dL", ucum: "mg/dL"},
			{code: loinc("3094-0", "Urea nitrogen [Mass/volume] in Serum or Plasma"), short: "Urea nitrogen", low: 7, high: 20, min: 3, max: 90, unit: "mg/dL", ucum: "mg/dL"},
			{code: loinc("2951-2", "Sodium [Moles/volume] in Serum or Plasma"), short: "Sodium", low: 135, high: 145, min: 118, max: 160, unit: "mmol/L", ucum: "mmol/L"},
			{code: loinc("2823-3", "Potassium [Moles/volume] in Serum or Plasma"), short: "Potassium", places: 1, low: 35, high: 51, min: 24, max: 68, unit: "mmol/L", ucum: "mmol/L"},
			{code: loinc("2075-0", "Chloride [Moles/volume] in Serum or Plasma"), short: "Chloride", low: 98, high: 107, min: 84, max: 122, unit: "mmol/L", ucum: "mmol/L"},
		}},
		{loinc("24331-1", "Lipid 1996 panel - Serum or Plasma"), "Lipid panel", []test{
			{code: loinc("2093-3", "Cholesterol [Mass/volume] in Serum or Plasma"), short: "Total cholesterol", low: 120, high: 200, min: 90, max: 330, unit: "mg/dL", ucum: "mg/dL"},
			{code: loinc("2571-8", "Triglyceride [Mass/volume] in Serum or Plasma"), short: "Triglycerides", low: 40, high: 150, min: 30, max: 520, unit: "mg/dL", ucum: "mg/dL"},
			{code: loinc("2085-9", "Cholesterol in HDL [Mass/volume] in Serum or Plasma"), short: "HDL cholesterol", low: 40, high: 80, min: 20, max: 100, unit: "mg/dL", ucum: "mg/dL"},
			{code: loinc("13457-7", "Cholesterol in LDL [Mass/volume] in Serum or Plasma by calculation"), short: "LDL cholesterol", low: 50, high: 130, min: 30, max: 260, unit: "mg/dL", ucum: "mg/dL"},
		}},
		{loinc("24325-3", "Hepatic function 2000 panel - Serum or Plasma"), "Liver function", []test{
			{code: loinc("1742-6", "Alanine aminotransferase [Enzymatic activity/volume] in Serum or Plasma"), ciel: "654", short: "ALT", low: 7, high: 45, min: 4, max: 380, unit: "U/L", ucum: "U/L"},
			{code: loinc("1920-8", "Aspartate aminotransferase [Enzymatic activity/volume] in Serum or Plasma"), ciel: "653", short: "AST", low: 8, high: 40, min: 5, max: 360, unit: "U/L", ucum: "U/L"},
			{code: loinc("6768-6", "Alkaline phosphatase [Enzymatic activity/volume] in Serum or Plasma"), short: "Alkaline phosphatase", low: 40, high: 130, min: 20, max: 480, unit: "U/L", ucum: "U/L"},
			{code: loinc("1975-2", "Bilirubin.total [Mass/volume] in Serum or Plasma"), short: "Total bilirubin", places: 1, low: 2, high: 12, min: 1, max: 92, unit: "mg/dL", ucum: "mg/dL"},
			{code: loinc("1751-7", "Albumin [Mass/volume] in Serum or Plasma"), short: "Albumin", places: 1, low: 35, high: 52, min: 18, max: 56, unit: "g/dL", ucum: "g/dL"},
		}},
		{loinc("24356-8", "Urinalysis complete panel - Urine"), "Urine dipstick", []test{
			{code: loinc("5803-2", "pH of Urine by Test strip"), short: "Urine pH", places: 1, low: 50, high: 80, min: 45, max: 90, unit: "pH", ucum: "[pH]"},
			{code: loinc("20454-5", "Protein [Presence] in Urine by Test strip"), short: "Urine protein", positive: present},
			{code: loinc("5802-4", "Nitrite [Presence] in Urine by Test strip"), short: "Urine nitrite", positive: present},
			{code: loinc("5799-2", "Leukocyte esterase [Presence] in Urine by Test strip"), short: "Urine leucocytes", positive: present},
		}},
		{code: loinc("4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood"), short: "HbA1c", tests: []test{
			{code: loinc("4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood"), short: "HbA1c", places: 1, low: 40, high: 69, min: 40, max: 138, unit: "%", ucum: "%"},
		}},
		{code: loinc("3016-3", "Thyrotropin [Units/volume] in Serum or Plasma"), short: "TSH", tests: []test{
			{code: loinc("3016-3", "Thyrotropin [Units/volume] in Serum or Plasma"), short: "TSH", places: 2, low: 40, high: 420, min: 5, max: 4200, unit: "mIU/L", ucum: "m[IU]/L"},
		}},
		{code: loinc("20447-9", "HIV 1 RNA [#/volume] (viral load) in Serum or Plasma by NAA with probe detection"), short: "HIV monitoring", tests: []test{
			{code: loinc("20447-9", "HIV 1 RNA [#/volume] (viral load) in Serum or Plasma by NAA with probe detection"), ciel: "856", short: "HIV viral load", low: 0, high: 200, min: 0, max: 180000, unit: "copies/mL", ucum: "{copies}/mL"},
			{code: loinc("24467-3", "CD3+CD4+ (T4 helper) cells [#/volume] in Blood"), ciel: "5497", short: "CD4 count", low: 410, high: 1590, min: 40, max: 1700, unit: "cells/uL", ucum: "{cells}/uL"},
		}},
		{code: loinc("70569-9", "Plasmodium sp Ag [Identifier] in Blood by Rapid immunoassay"), short: "Malaria rapid test", tests: []test{
			{code: loinc("70569-9", "Plasmodium sp Ag [Identifier] in Blood by Rapid immunoassay"), short: "Malaria antigen", positive: positive},
		}},
	}
}
